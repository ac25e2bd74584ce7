"""A confined program looks into no other process of its account, sends it no signal, and may do all else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[3] / "systemd"
# As a unit has it; root would read maps and memory by a capability of its own (CAP_PERFMON).
BARE = ("setpriv", "--no-new-privs", *(("--bounding-set=-all",) if os.geteuid() == 0 else ()))
APART = (*BARE, str(SYSTEMD / "apart"))
UNITS = [unit for unit in sorted(SYSTEMD.glob("*.service")) if "/apart " in unit.read_text()]


@pytest.fixture
def other() -> Iterator[int]:
    """The number of a process of this account that is not of the domain."""
    argv = (*BARE, "sh", "-c", "echo; exec sleep 60")
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


@pytest.mark.parametrize("place", ["root/", "cwd/", "environ", "maps", "mem", "fd/0"])
def test_other_processes_of_the_account_are_out_of_reach(place: str, other: int) -> None:
    opens = ("/usr/bin/python3", "-I", "-c", f"import os; os.open('/proc/{other}/{place}', os.O_RDONLY)")
    subprocess.run((*BARE, *opens), check=True)
    assert "PermissionError" in subprocess.run((*APART, *opens), capture_output=True, text=True).stderr


@pytest.mark.parametrize("number", ["0", "STOP", "KILL"])
def test_no_signal_reaches_them(number: str, other: int) -> None:
    kill = ("sh", "-c", f"kill -s {number} {other}")
    refused = subprocess.run((*APART, *kill), capture_output=True, text=True)
    assert refused.returncode != 0
    assert "not permitted" in refused.stderr
    assert Path(f"/proc/{other}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def test_its_own_ones_and_the_files_of_its_account_are_not(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from/a").write_text("a")
    does = "sleep 60 & ls /proc/$!/root >there && mv from/a . && ln a from/b; kill $!"
    subprocess.run((*APART, "sh", "-c", does), cwd=tmp_path, check=True)
    assert "usr" in (tmp_path / "there").read_text().split()
    assert (tmp_path / "from/b").read_text() == (tmp_path / "a").read_text() == "a"


def test_words_reach_the_program_as_they_are() -> None:
    said = subprocess.run((*APART, "printf", "[%s]", "-a b", "", "--x"), capture_output=True, check=True)
    assert said.stdout == b"[-a b][][--x]"


def test_units_that_are_kept_apart_can_be() -> None:
    """The calls of Landlock are not of `@system-service`, and root's without NoNewPrivileges=."""
    assert [unit.stem for unit in UNITS] == [
        "appliance-database-fill@",
        "appliance-database-keep@",
        "appliance-database-rehearse@",
        "appliance-database-statistics@",
        "appliance-database@",
        "appliance-portal",
        "appliance-site-copy@",
    ]
    for unit in UNITS:
        lines = unit.read_text().splitlines()
        filters = [line.partition("=")[2] for line in lines if line.startswith("SystemCallFilter=")]
        assert filters == ["@system-service @sandbox", "~@privileged @resources"], unit.stem
        assert "NoNewPrivileges=yes" in lines, unit.stem
