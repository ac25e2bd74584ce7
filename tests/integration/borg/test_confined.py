"""A borg that was turned against its node opens nothing of it: the kernel refuses to whatever runs in its place."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from appliance.agent import machine
from appliance.borg import argv
from appliance.borg.client import Borg
from appliance.borg.errors import BorgFailed
from appliance.borg.model import Repository
from appliance.host import confined
from appliance.host.command import Result, run
from appliance.host.confined import Reach, start_confined, why_not
from appliance.secret import Secret

SYSTEMD = Path(__file__).parents[3] / "systemd"
UNITS_WITH_BORG = ("appliance-agent", "appliance-check@", "appliance-failover", "appliance-portal-work")

needs_landlock = pytest.mark.skipif(why_not() != "", reason=f"this kernel confines nothing: {why_not()}")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of the node: `given` may be written, `shown` read, and `keys` neither."""
    for folder in ("given", "shown", "keys"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text(folder)
    return tmp_path


def within(place: Path, code: str) -> Result:
    """How `code` ended, in Python and in the domain."""
    reach = Reach(writes=(place / "given",), reads=(place / "shown",))
    words = ("/usr/bin/python3", "-I", "-c", f"import os, shutil, socket\nplace = {str(place)!r}\n{code}")
    return run(words, timeout_seconds=60, cwd=place / "given", begin=lambda start: start_confined(reach, start))


ALLOWED = {
    "read what is shown": "assert open(f'{place}/shown/file').read() == 'shown'",
    "change what is given": "open(f'{place}/given/file', 'a').write('x')",
    "make and remove": "os.makedirs('a/b'); open('a/b/c', 'w').close(); shutil.rmtree('a')",
    "rename into another folder": "os.mkdir('a'); os.rename('file', 'a/file')",
    "link into another folder": "os.mkdir('a'); os.link('file', 'a/file'); os.symlink('file', 'b'); os.mkfifo('c')",
    "throw away": "open('/dev/null', 'w').write('x')",
    "be random": "open('/dev/urandom', 'rb').read(1)",
    "name accounts": "import pwd, grp; pwd.getpwuid(0), grp.getgrgid(0)",
}
REFUSED = {
    "read a key": "open(f'{place}/keys/file')",
    "read a key through a link": "os.symlink(f'{place}/keys', 'a'); open('a/file')",
    "list a folder": "os.listdir(f'{place}/keys')",
    "write into a folder": "open(f'{place}/keys/new', 'w')",
    "empty a file": "os.truncate(f'{place}/keys/file', 0)",
    "write what is only shown": "open(f'{place}/shown/file', 'a')",
    "make a folder": "os.mkdir(f'{place}/new')",
    "remove a file": "os.unlink(f'{place}/keys/file')",
    "replace a file": "os.rename('file', f'{place}/keys/file')",
    "take a file": "os.rename(f'{place}/keys/file', 'taken')",
    "link a key to where it may read": "os.link(f'{place}/keys/file', 'linked')",
    "run what it wrote": "shutil.copy('/usr/bin/true', 'new'); os.chmod('new', 0o755); os.execv('new', ['new'])",
    "read who signs in": "open('/etc/shadow')",
    "look into another process": "open(f'/proc/{os.getppid()}/environ', 'rb')",
    "end another process": "os.kill(os.getppid(), 0)",
    "call somebody": "socket.create_connection(('127.0.0.1', 9))",
}


@needs_landlock
@pytest.mark.parametrize("name", ALLOWED)
def test_what_borg_does_with_its_own_folders_goes_on(place: Path, name: str) -> None:
    done = within(place, ALLOWED[name])
    assert done.exit_code == 0, done.tail()


@needs_landlock
@pytest.mark.parametrize("name", REFUSED)
def test_the_rest_of_the_node_is_closed(place: Path, name: str) -> None:
    done = within(place, REFUSED[name])
    refusals = ("PermissionError", "OSError: [Errno 18]")  # EXDEV: from a folder without the right into one with it
    assert done.exit_code == 1
    assert done.tail(1).startswith(refusals), done.tail()
    assert {path.name: path.read_text() for path in (place / "keys").iterdir()} == {"file": "keys"}
    assert (place / "shown/file").read_text() == "shown"


@needs_landlock
def test_this_process_stays_free(place: Path) -> None:
    """A domain is for ever: the thread that enters it must be another than ours, and no later program is in it."""

    def may_gain_privileges() -> bool:
        return "NoNewPrivs:\t0" in Path("/proc/thread-self/status").read_text()

    before = may_gain_privileges()
    assert within(place, REFUSED["read a key"]).exit_code == 1
    assert (place / "keys/file").read_text() == "keys"
    assert run(("/usr/bin/cat", str(place / "keys/file")), timeout_seconds=60).stdout == b"keys"
    assert may_gain_privileges() == before


@needs_landlock
@pytest.mark.parametrize("verb", ["archives", "extract"])
def test_whatever_runs_as_borg_reads_and_writes_no_key(
    verb: str, borg: Borg, source: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In borg's place runs what a hole in it would let an archive run."""
    (source / "letter").write_text("x")
    borg.create("one", ["letter"], cwd=source)
    code = f"""
import os
reached = []
for act in (lambda: open({str(place / "keys/file")!r}).read(), lambda: open({str(place / "keys/new")!r}, "w"),
            lambda: os.listdir({str(place)!r}), lambda: open({str(source / "letter")!r}).read()):
    try:
        reached.append(str(act()))
    except PermissionError:
        pass
raise SystemExit(f"reached {{reached}}")
"""
    monkeypatch.setattr(argv, "start", lambda *words, **named: ("/usr/bin/python3", "-I", "-c", code))
    with pytest.raises(BorgFailed, match=r"reached \[\]"):
        borg.archives() if verb == "archives" else borg.extract("one", (), place / "given/out")
    assert os.listdir(place / "keys") == ["file"]


def test_without_landlock_borg_works_as_before_and_the_host_says_so(
    borg: Borg, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confined, "why_not", lambda: "it has no Landlock")
    (source / "letter").write_text("x")
    borg.create("one", ["letter"], cwd=source)
    borg.extract("one", (), source / "out")
    assert (source / "out/letter").read_text() == "x"
    (said,) = machine._kernel(confined.why_not())
    assert (said.state, said.check) == ("warning", "updates")
    assert said.sentence.startswith("its kernel does not confine borg (it has no Landlock)")
    assert list(machine._kernel("")) == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (7, ""),
        (3, ""),
        (2, "its Landlock is older than that of Linux 6.2"),
        (-38, "it has no Landlock"),
        (-95, "Landlock is not among the modules of `lsm=`"),
        (-1, "Landlock is refused (operation not permitted)"),
    ],
)
def test_why_a_kernel_confines_nothing_is_said(answer: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confined, "_abi", lambda: answer)
    confined.why_not.cache_clear()
    try:
        assert confined.why_not() == said
    finally:
        confined.why_not.cache_clear()


@needs_landlock
def test_rules_of_an_older_landlock_are_taken_too(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for abi in (3, 4, 5):
        monkeypatch.setattr(confined, "_abi", lambda abi=abi: abi)
        assert within(place, REFUSED["read a key"]).exit_code == 1
        assert within(place, ALLOWED["rename into another folder"]).exit_code == 0
        (place / "given/a/file").rename(place / "given/file")
        (place / "given/a").rmdir()


@pytest.mark.parametrize("name", UNITS_WITH_BORG)
def test_a_unit_that_starts_borg_lets_it_be_confined(name: str) -> None:
    """The calls of Landlock are not of `@system-service`; refused, borg would run as on a kernel without."""
    lines = (SYSTEMD / f"{name}.service").read_text().splitlines()
    assert "SystemCallFilter=@system-service @sandbox" in lines
    assert "NoNewPrivileges=yes" in lines


def test_the_calls_of_landlock_are_in_the_set_that_units_name() -> None:
    listed = subprocess.run(("systemd-analyze", "syscall-filter", "@sandbox"), capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("systemd-analyze is not here")
    assert {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"} <= set(listed.stdout.split())


def test_a_borg_behind_a_link_among_the_packaged_programs_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `pipx install --global` lays it: /usr/local/bin/borg leads to a program in /opt."""
    for folder in ("usr", "opt"):
        (tmp_path / folder).mkdir()
    (tmp_path / "opt/borg").write_text('#!/bin/sh\nexec /usr/bin/borg "$@"\n')
    (tmp_path / "opt/borg").chmod(0o755)
    (tmp_path / "usr/borg").symlink_to(tmp_path / "opt/borg")
    monkeypatch.setattr("appliance.borg.reach.PACKAGED", tmp_path / "usr")
    monkeypatch.setenv("PATH", str(tmp_path / "usr"))
    borg = Borg(Repository(tmp_path / "repository", tmp_path / "base", Secret(b"a word")))
    borg.init()
    assert borg.archives() == ()
