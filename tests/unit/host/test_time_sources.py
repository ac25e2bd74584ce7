"""Whether the servers that set the clock prove who they are, from chrony's settings."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from jinja2 import Environment
from yaml import safe_load

from appliance.host.command import run
from appliance.host.network.time_sources import proven, seen

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles/base"
NTS = "server time.example iburst nts"
DEBIAN = "pool 2.debian.pool.ntp.org iburst"


@pytest.mark.parametrize(
    ("lines", "proves"),
    [
        pytest.param((DEBIAN,), False, id="Debian's own settings"),
        pytest.param((NTS,), True, id="NTS"),
        pytest.param((DEBIAN, NTS), True, id="others count only while they agree"),
        pytest.param((DEBIAN, NTS, "authselectmode ignore"), False, id="unless they count all the same"),
        pytest.param(("authselectmode ignore", "AuthSelectMode require", NTS), True, id="the last mode counts"),
        pytest.param(("server 10.0.0.1 iburst key 7",), True, id="a key"),
        pytest.param(("server nts",), False, id="a server of that name"),
        pytest.param((f"# {NTS}", f"! {NTS}"), False, id="a comment"),
        pytest.param(("authselectmode require", "", "server"), False, id="no server at all"),
    ],
)
def test_only_servers_that_prove_themselves_set_a_clock_that_is_proven(lines: tuple[str, ...], proves: bool) -> None:
    assert proven(lines) is proves


def test_all_files_that_chrony_reads_count(tmp_path: Path) -> None:
    assert seen(tmp_path) is None
    (tmp_path / "chrony.conf").write_text(f"{DEBIAN}\n")
    assert seen(tmp_path) is False
    (tmp_path / "sources.d").mkdir()
    (tmp_path / "sources.d/town.sources").write_text(f"{NTS}\n")
    assert seen(tmp_path) is True
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/local.conf").write_text("authselectmode ignore\n")
    assert seen(tmp_path) is False


def written() -> str:
    """Return the file that the role writes with its defaults."""
    given = safe_load((ROLE / "defaults/main.yml").read_text())
    return Environment(trim_blocks=True).from_string((ROLE / "templates/time.conf.j2").read_text()).render(given)


def test_what_the_role_writes_is_proven() -> None:
    lines = [DEBIAN, *written().splitlines()]
    assert proven(lines)
    assert "authselectmode require" in lines
    assert "minsources 2" in lines
    assert sum(line.startswith("server ") for line in lines) >= 3, "two that agree outvote one that lies"


@pytest.mark.skipif(shutil.which("chronyd") is None, reason="chronyd is not installed")
def test_chrony_takes_what_the_role_writes(tmp_path: Path) -> None:
    file = tmp_path / "chrony.conf"
    file.write_text(written())
    run(("chronyd", "-p", "-f", str(file)), timeout_seconds=30, check=True)
