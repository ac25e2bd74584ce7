"""The ground of the demo: it refuses a folder it cannot use, or in which an earlier territory still runs."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.errors import UsageError
from appliance.escrow import paper_key
from appliance.escrow.age import generate
from appliance.secret import Secret
from appliance_lab.cli import demo_cmd
from appliance_lab.demo.account import ACCOUNT, check_may_read, check_shell, make_account
from appliance_lab.demo.context import remove_all
from appliance_lab.demo.documents import TERRITORY
from appliance_lab.demo.kept import NOTE, PIDS, check_nobody_plays, how_to_play, is_kept, link, show_paper
from appliance_lab.story import Story
from tests.unit.repository import ROOT


def file_for_work(tmp_path: Path) -> str:
    (tmp_path / "file").touch()
    return str(tmp_path / "file/work")


@pytest.mark.parametrize("work", [lambda _: "/proc/x", file_for_work], ids=["/proc/x", "below a file"])
def test_a_folder_that_cannot_be_made_ends_with_3_and_a_sentence(
    work: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(work)
    assert main.run(["demo", "--work", work(tmp_path)]) == 3
    assert "Name another folder with --work." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("nowhere", "there is no such folder. Name another one."),
        ("empty", "there are no documents to back up. Name a folder with files in it."),
    ],
)
def test_without_documents_there_is_nothing_to_play_with(
    data: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert main.run(["demo", "--work", str(tmp_path / "work"), "--data", str(tmp_path / data)]) == 3
    assert capsys.readouterr().err == f"{tmp_path / data}: {said}\n"


@pytest.mark.parametrize("data", ['it\'s "mine" $HOME $$ `id` \\ ; & *[?] #', "two\nlines ", "-dash"])
def test_make_hands_on_a_path_as_it_was_typed(data: str, tmp_path: Path) -> None:
    for program, code in (("scripts/setup", ""), ("bin/appliance", 'printf "<%s>" "$@"')):
        (tmp_path / program).parent.mkdir()
        (tmp_path / program).write_text(f"#!/bin/sh\n{code}\n")
        (tmp_path / program).chmod(0o755)
    words = ("make", "--no-print-directory", "-C", str(tmp_path), "-f", str(ROOT / "Makefile"), "demo")
    for given, said in (((f"DATA={data}",), f"<--data={data}>"), (("DATA=",), "<>"), ((), "<>")):
        run = subprocess.run((*words, *given), capture_output=True, text=True, check=True)
        assert run.stdout == f"<demo>{said}".removesuffix("<>")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_ends_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    assert main.run(["demo", "--work", str(tmp_path / "work"), "--data", str(tmp_path / "closed")]) == 3
    assert "this account may not read the folder" in capsys.readouterr().err
    (tmp_path / "closed").chmod(0o700)


@pytest.mark.root
def test_root_may_name_no_folder_that_the_account_of_the_steps_may_not_read(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    check_may_read(nobody, Path("/usr"))
    (tmp_path / "documents").mkdir()
    tmp_path.chmod(0o700)
    with pytest.raises(UsageError, match=f"{tmp_path}/documents: the account nobody, .* may not read this folder"):
        check_may_read(nobody, tmp_path / "documents")


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false", "/nowhere/sh"])
def test_an_account_without_a_real_shell_is_told_before_ssh_fails(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    account = pwd.struct_passwd(("marie", "x", 1000, 1000, "", "/", shell))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(pwd, "getpwuid", lambda _: account)
    assert main.run(["demo", "--work", str(tmp_path / "work")]) == 3
    said = capsys.readouterr().err
    assert said.startswith(f"the account marie has {shell} for a shell")
    assert "`usermod --shell /bin/sh marie`" in said


@pytest.mark.parametrize("shell", ["/bin/sh", ""])
def test_a_real_shell_and_that_of_who_names_none_do(shell: str) -> None:
    check_shell(pwd.struct_passwd(("marie", "x", 1000, 1000, "", "/", shell)))


@pytest.mark.root
def test_root_is_told_of_an_account_for_the_nodes_without_a_real_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    account = pwd.struct_passwd((ACCOUNT, "x", 999, 999, "", "/", "/usr/sbin/nologin"))
    monkeypatch.setattr(pwd, "getpwnam", lambda _: account)
    with pytest.raises(UsageError, match=f"usermod --shell /bin/sh {ACCOUNT}"):
        make_account()


@pytest.mark.parametrize("by_root", [False, True])
def test_a_territory_that_still_runs_is_not_started_over(by_root: bool, tmp_path: Path) -> None:
    root = (tmp_path / "other" if by_root else tmp_path) / TERRITORY
    root.mkdir(parents=True)
    if by_root:
        link(tmp_path, root.parent)
    words = (sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", str(root))
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (root / PIDS).write_text(f"{process.pid}\n1\n")
        with pytest.raises(UsageError, match=f"kill {process.pid}; rm -rf {root.parent if by_root else root}"):
            check_nobody_plays(tmp_path)
        process.communicate(b"")
    check_nobody_plays(tmp_path)


@pytest.mark.parametrize("by_root", [False, True])
def test_who_keeps_a_territory_is_told_what_to_type_and_how_to_remove_all_of_it(by_root: bool, tmp_path: Path) -> None:
    root = (tmp_path / "other" if by_root else tmp_path) / TERRITORY
    root.mkdir(parents=True)
    assert not is_kept(root.parent)
    (root / PIDS).write_text("12\n13\n")
    (root / NOTE).write_text("  appliance --state x status\n")
    if by_root:
        link(tmp_path, root.parent)
    else:
        (tmp_path / "documents").mkdir()
    said = how_to_play(tmp_path).splitlines()
    assert "  appliance --state x status" in said
    assert any(line.startswith("  export PATH=") for line in said)
    left = f"{root.parent} {tmp_path}/territory" if by_root else f"{root} {tmp_path}/documents"
    assert said[-1] == f"  kill 12 13; rm -rf {left}"
    remove_all(tmp_path / TERRITORY)
    assert root.exists() == by_root
    assert how_to_play(tmp_path) == ""


def test_the_paper_of_a_kept_territory_is_shown_with_the_disk_to_practise_on(tmp_path: Path) -> None:
    key = generate().secret
    said = show_paper(tmp_path, key).splitlines()
    assert f"  VAULT={tmp_path}/territory/nodes/commune-c/vault/docs-a WORK=$HOME/recuperation" in said
    assert paper_key.read(Secret("\n".join(said[-5:]).encode())) == key


def test_the_paper_is_shown_on_a_terminal_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, story = generate().secret, Story("demo", "A story", tmp_path / "report.json")

    def played(*_: object, hand_over: Callable[[Secret], None], **__: object) -> Story:
        hand_over(key)
        return story

    monkeypatch.setattr(demo_cmd, "play", played)
    assert main.run(["demo", "--keep", "--work", str(tmp_path)]) == story.exit_code
    said = capsys.readouterr()
    assert "shown on a terminal only" in said.out
    assert paper_key.lines(key)[1] not in said.out + said.err


def test_what_a_restored_mode_closed_is_removed_too(tmp_path: Path) -> None:
    closed = tmp_path / "gone" / "closed"
    (closed / "inside").mkdir(parents=True)
    closed.chmod(0)
    remove_all(tmp_path / "gone")
    assert list(tmp_path.iterdir()) == []
