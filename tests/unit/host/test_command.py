"""`run`: no shell, no secret in sight, an end within the time given."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from appliance.errors import NoSpace, NotFound
from appliance.host.command import CommandFailed, CommandTimeout, run
from appliance.secret import Secret


def test_output_and_exit_code_come_back() -> None:
    result = run(("sh", "-c", "echo out; echo err >&2; exit 3"), timeout_seconds=10)
    assert (result.exit_code, result.stdout, result.stderr) == (3, b"out\n", b"err\n")


def test_a_death_by_signal_is_a_negative_code() -> None:
    assert run(("sh", "-c", "kill -9 $$"), timeout_seconds=10).exit_code == -9


def test_words_reach_the_program_as_they_are() -> None:
    words = ("a b", "$HOME", "*", "", "é\n", "{not a secret}")
    result = run((sys.executable, "-c", "import sys; print(sys.argv[1:])", *words), timeout_seconds=10)
    assert result.stdout.decode() == f"{list(words)}\n"


def test_the_environment_is_a_small_safe_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BORG_PASSPHRASE", "from the shell")
    names = run(("env",), timeout_seconds=10, env={"ADDED": "1"}).stdout.decode()
    assert "ADDED=1" in names
    assert "BORG_PASSPHRASE" not in names


def test_check_raises_with_the_last_words_of_the_program() -> None:
    with pytest.raises(CommandFailed, match=r"sh exited with 3: no room left") as caught:
        run(("sh", "-c", "echo no room left >&2; exit 3"), timeout_seconds=10, check=True)
    assert caught.value.result.exit_code == 3


def test_a_program_that_found_the_disk_full_is_told_so() -> None:
    with pytest.raises(
        NoSpace, match=r"the disk is full \(cp\)\. Free space there, then run the command again\."
    ) as caught:
        run(("cp", "/etc/passwd", "/dev/full"), timeout_seconds=10, env={"LC_ALL": "C"}, check=True)
    assert isinstance(caught.value, CommandFailed)


def test_a_missing_program_is_named() -> None:
    with pytest.raises(NotFound, match="no-such-program"):
        run(("no-such-program",), timeout_seconds=1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter any folder")
def test_a_missing_program_is_named_even_when_path_holds_a_closed_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(NotFound, match="no-such-program"):
        run(("no-such-program",), timeout_seconds=1)


def test_a_file_that_may_not_be_run_is_not_taken_for_a_missing_program(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    with pytest.raises(PermissionError):
        run((str(tmp_path / "tool"),), timeout_seconds=1)


def test_a_missing_folder_is_not_taken_for_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="gone"):
        run(("true",), timeout_seconds=1, cwd=tmp_path / "gone")


@pytest.mark.parametrize("by_line", [False, True], ids=["at once", "line by line"])
def test_a_secret_is_read_from_a_descriptor_and_shows_nowhere(by_line: bool) -> None:
    """Neither other users of /proc nor the program's own children find it."""
    script = 'cat <&"$KEY_FD"; tr "\\0" " " </proc/$$/cmdline >&2; tr "\\0" " " </proc/$$/environ >&2'
    result = run(
        ("bash", "-c", script),
        timeout_seconds=10,
        secret_fds={"KEY_FD": Secret(b"hidden words")},
        on_stderr_line=(lambda line: None) if by_line else None,
    )
    assert result.stdout == b"hidden words"
    assert b"KEY_FD=" in result.stderr
    assert b"hidden words" not in result.stderr
    assert "hidden words" not in repr(result.argv)


def test_a_secret_may_stand_in_the_arguments_as_a_descriptor() -> None:
    result = run(("cat", "/dev/fd/{IDENTITY}"), timeout_seconds=10, secret_fds={"IDENTITY": Secret(b"age key")})
    assert result.stdout == b"age key"


def test_no_descriptor_is_left_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        run(("true",), timeout_seconds=10, stdin=b"x", secret_fds={"A_FD": Secret(b"x"), "B_FD": Secret(b"y")})
        run(("true",), timeout_seconds=10, on_stderr_line=lambda line: None)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("by_line", [False, True], ids=["at once", "line by line"])
def test_input_is_given_while_output_is_read(by_line: bool) -> None:
    """Both are larger than a pipe holds: a program that writes first and reads later would wait for ever."""
    data = bytes(range(256)) * 2000
    result = run(
        ("sh", "-c", "echo begun >&2; cat; echo ended >&2"),
        timeout_seconds=20,
        stdin=data,
        on_stderr_line=(lambda line: None) if by_line else None,
    )
    assert result.stdout == data


@pytest.mark.parametrize("by_line", [False, True], ids=["at once", "line by line"])
def test_a_program_that_does_not_want_its_input_is_no_error(by_line: bool) -> None:
    result = run(
        ("true",), timeout_seconds=10, stdin=bytes(300_000), on_stderr_line=(lambda line: None) if by_line else None
    )
    assert result.exit_code == 0


def test_lines_are_told_as_they_come_the_last_one_too() -> None:
    lines: list[str] = []
    result = run(("sh", "-c", "printf 'one\\ntwo\\nwithout end' >&2"), timeout_seconds=10, on_stderr_line=lines.append)
    assert lines == ["one", "two", "without end"]
    assert result.stderr == b"one\ntwo\nwithout end"


@pytest.mark.parametrize("by_line", [False, True], ids=["at once", "line by line"])
def test_a_timeout_ends_the_program_and_its_children(by_line: bool, tmp_path: Path) -> None:
    """ssh under borg, or a shell's child, holds our pipes: it must neither live on nor keep us waiting."""
    script = f"sleep 60 & echo $! >{tmp_path}/child; wait"
    started = time.monotonic()
    with pytest.raises(CommandTimeout, match=r"did not end within 0 s; still running below it: sleep\.$"):
        run(("sh", "-c", script), timeout_seconds=0.5, on_stderr_line=(lambda line: None) if by_line else None)
    assert time.monotonic() - started < 20
    assert not _runs(int((tmp_path / "child").read_text()))


def test_a_program_whose_name_is_cut_within_a_letter_is_named_all_the_same(tmp_path: Path) -> None:
    (name := tmp_path / "fourteen-bytesé").symlink_to("/usr/bin/sleep")
    with pytest.raises(CommandTimeout, match="still running below it: fourteen-bytes"):
        run(("sh", "-c", f"'{name}' 60 & wait"), timeout_seconds=0.5)


def test_an_interrupted_call_leaves_no_program_behind(tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(
            ("sh", "-c", f"echo $$ >{tmp_path}/pid; echo go >&2; sleep 60"),
            timeout_seconds=30,
            on_stderr_line=interrupt,
        )
    assert not _runs(int((tmp_path / "pid").read_text()))


def _runs(pid: int) -> bool:
    """Whether `pid` still runs; a child of a killed parent may stay as a zombie until init collects it."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return False
        if state == "Z":
            return False
        time.sleep(0.01)
    return True
