"""One sentence and one documented exit code for everything that can go wrong."""

from __future__ import annotations

import errno
import re
import tempfile
from pathlib import Path

import click
import pytest

from appliance import errors
from appliance.cli.failure import CRASHED, DEBUG_VARIABLE, OUTPUT_CLOSED, report
from appliance.cli.options import STATE_VARIABLE

ROOT = Path(__file__).parents[3]

CASES = [
    (errors.UsageError("no such zone.", remedy="Known: flood."), 2, "appliance: no such zone. Known: flood."),
    (errors.NotFound("no file of that name."), 3, "appliance: no file of that name."),
    (errors.Busy("the repository is in use.", where="documents"), 4, "appliance: documents: the repository is in use."),
    (errors.IntegrityError("a hash differs."), 5, "appliance: a hash differs."),
    (errors.Refused("epoch 3 is older than 4."), 8, "appliance: epoch 3 is older than 4."),
    (click.UsageError("No such option: --al"), 2, "appliance: No such option: --al"),
    (click.FileError("a.yml", "gone"), 2, "appliance: Could not open file 'a.yml': gone"),
    (EOFError(), 2, "appliance: an answer was expected on standard input, but it has ended."),
    (PermissionError(errno.EACCES, "denied", "/etc/shadow"), 6, "appliance: /etc/shadow: permission denied"),
    (OSError(errno.ENOSPC, "full", "/srv/a"), 4, "appliance: /srv/a: the disk is full. Free space there, then"),
    (
        OSError(errno.EDQUOT, "quota"),
        4,
        "appliance: output: the disk is full. Free space there, then run the command again.",
    ),
    (OSError(errno.ELOOP, "", "a/b"), 2, "appliance: a/b: too many levels of symbolic links. Look at this path"),
    (OSError(errno.ENAMETOOLONG, "", "aaaa"), 2, "appliance: aaaa: file name too long."),
    (NotADirectoryError(errno.ENOTDIR, "", "file/x"), 2, "appliance: file/x: not a directory."),
    (IsADirectoryError(errno.EISDIR, "", "a"), 2, "appliance: a: is a directory."),
    (FileExistsError(errno.EEXIST, "", "/no/such"), 2, "appliance: /no/such: this symbolic link points to not"),
    (OSError(errno.EROFS, "", "/srv/a"), 4, "appliance: /srv/a: read-only file system. See `journalctl -k`."),
    (OSError(errno.EIO, ""), 4, "appliance: a disk: input/output error."),
    (ModuleNotFoundError("No module", name="fabric"), 4, "appliance: this machine has no fabric, with which other"),
    (click.Abort(), 130, "appliance: interrupted."),
]


@pytest.fixture(autouse=True)
def _crashes_go_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv(DEBUG_VARIABLE, raising=False)
    monkeypatch.delenv(STATE_VARIABLE, raising=False)


@pytest.mark.parametrize(("error", "code", "sentence"), CASES, ids=lambda case: type(case).__name__)
def test_each_error_is_one_line_with_its_code(
    error: BaseException, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(error, ["backup", "run"]) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(sentence)
    assert told.err.count("\n") == 1


def test_an_interruption_says_what_to_type_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    report(KeyboardInterrupt(), ["restore", "file", "budget 2026.ods"])
    assert capsys.readouterr().err.endswith("To continue, type: appliance restore file 'budget 2026.ods'\n")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["backup", "run", "docs-a"], "appliance --state /srv/a backup run docs-a"),
        (["--state", "/srv/b", "backup", "run", "docs-a"], "appliance --state /srv/b backup run docs-a"),
        (["backup", "run", "docs-a", "--state=/srv/b"], "appliance backup run docs-a --state=/srv/b"),
    ],
)
def test_an_interruption_names_the_node_that_the_environment_named(
    argv: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(STATE_VARIABLE, "/srv/a")
    report(KeyboardInterrupt(), argv)
    assert capsys.readouterr().err.endswith(f"To continue, type: {words}\n")


def test_a_bug_leaves_a_private_file_and_no_traceback_on_the_screen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(_raised(ZeroDivisionError("division by zero")), ["status"]) == CRASHED
    (crash,) = tmp_path.glob("appliance/appliance-crash-*.txt")
    told = capsys.readouterr().err
    assert str(crash) in told
    assert "Traceback" not in told
    assert "ZeroDivisionError" in crash.read_text()
    assert "command: appliance status" in crash.read_text()
    assert crash.stat().st_mode & 0o777 == 0o600


def test_a_bug_is_still_told_where_the_account_has_no_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert report(_raised(KeyError("x")), []) == CRASHED
    (crash,) = tmp_path.glob("appliance-crash-*.txt")
    assert str(crash) in capsys.readouterr().err


def test_a_missing_file_that_no_command_foresaw_is_a_bug_not_an_answer() -> None:
    assert report(_raised(FileNotFoundError(errno.ENOENT, "gone", "x")), []) == CRASHED


def test_a_place_where_nothing_can_be_stored_is_an_answer_to_who_typed_it() -> None:
    error = _raised(FileNotFoundError(errno.ENOENT, "gone", "/proc/a/b"))
    assert report(error, ["lab", "corpus", "/proc/a/b"]) == errors.UsageError.exit_code
    assert report(error, ["status"]) == CRASHED


def test_who_stands_in_a_folder_that_was_removed_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert report(_raised(FileNotFoundError(errno.ENOENT, "gone")), ["--state", "x", "status"]) == 3
    assert "the current folder was removed. Type `cd`" in capsys.readouterr().err


def test_what_cannot_be_a_text_is_told_to_who_typed_it() -> None:
    error = UnicodeEncodeError("utf-8", "\udce9", 0, 1, "surrogates not allowed")
    assert report(_raised(error), ["act", "sign", "--reason", "\udce9"]) == errors.UsageError.exit_code
    assert report(_raised(error), ["act", "list"]) == CRASHED


def test_a_bug_is_written_down_whatever_was_typed(tmp_path: Path) -> None:
    assert report(_raised(KeyError("x")), ["node", "accept", "b\udce9"]) == CRASHED
    (crash,) = tmp_path.glob("appliance/appliance-crash-*.txt")
    assert r"command: appliance node accept $'b\xe9'" in crash.read_text()


def test_a_broken_pipe_to_a_program_of_ours_is_a_bug_since_our_output_still_stands() -> None:
    assert report(_raised(BrokenPipeError(errno.EPIPE, "to ssh")), []) == CRASHED


def test_debugging_adds_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(DEBUG_VARIABLE, "1")
    report(_raised(errors.NotFound("no such node.")), [])
    assert "Traceback" in capsys.readouterr().err


def test_the_exit_codes_page_lists_exactly_the_codes_that_exist() -> None:
    page = (ROOT / "docs/reference/exit-codes.md").read_text()
    listed = {int(code) for code in re.findall(r"^\|\s*(\d+) \|", page, re.MULTILINE)}
    classes = {kind.exit_code for kind in _subclasses(errors.ApplianceError)}
    assert listed == classes | {errors.OK, errors.WARNINGS, errors.INTERRUPTED, CRASHED, OUTPUT_CLOSED}


def _raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def _subclasses(kind: type[errors.ApplianceError]) -> list[type[errors.ApplianceError]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in _subclasses(child))]
