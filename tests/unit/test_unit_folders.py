"""Which units may write which folder of a node: units of different rights share none.

Units of one account that have the same capabilities are no finding: what one of them writes for another to follow (a
link, a name, a file) gives it nothing that it has not. Where capabilities differ, the stronger one would write, by a
link, what the weaker one may not.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pytest

from appliance.host import layout
from appliance.provision.setup import APART

UNITS = Path(__file__).parents[2] / "systemd"
NODE = "/srv/appliance/node"
PAGES, WORKER, FORGETS = "appliance-portal", "appliance-portal-work", "appliance-restores"
AGENT, FAILOVER, BROKER = "appliance-agent", "appliance-failover", "appliance-broker"
WRITERS: dict[str, set[str]] = {
    "acme": {"appliance-portal-acme"},
    "acts": {AGENT, FAILOVER},
    "catalogues": {AGENT, FAILOVER, WORKER},
    "keys": set(),  # root's verbs, as the account: `internal node setup`, `internal node rotate`
    "people": {AGENT, FAILOVER},
    "portal": {PAGES},
    # restores removes, daily, what the worker kept for thirty days; both do what the pages may not.
    "portal-work": {WORKER, FORGETS},
    "restores": {WORKER, FORGETS},
    "services": {AGENT, FAILOVER, WORKER},
    "sight": {AGENT, FAILOVER},
    "tls": set(),  # `node certificate`
    "voter-care": {BROKER},
}
NOT_OF_THE_ACCOUNT = {"accounts", "vault", "machine"}
"""On a host root's, the vault's; in process mode alone."""
SHARED = {
    # The worker lays copies out and reads names with borg, whose base folder and caches the agent's borg writes, too.
    "catalogues",
    "services",
}
"""Where the worker could be led by a link of an agent that was broken into; what it replaces in shares it opens by
descriptors, and this shows which folders are left."""


def settings(unit: Path, *names: str) -> list[str]:
    """The paths that the settings `names` of a unit list, without the marks before them."""
    lines = (line.partition("=") for line in unit.read_text().splitlines() if not line.startswith("#"))
    return [path.lstrip("-+") for name, _, value in lines if name in names for path in value.split()]


def may_write(unit: Path, folder: str) -> bool:
    """By the longest path of the unit's settings that holds `folder`; a unit without sandbox may write all."""
    if "ProtectSystem=strict" not in unit.read_text():
        return True
    if "/srv:ro" in settings(unit, "TemporaryFileSystem"):
        return False
    writable = settings(unit, "ReadWritePaths")
    closed = settings(unit, "ReadOnlyPaths", "InaccessiblePaths")
    above = [path for path in (*writable, *closed) if PurePosixPath(folder).is_relative_to(path)]
    return bool(above) and max(above, key=len) in writable and max(above, key=len) not in closed


def writers(folder: str) -> set[str]:
    units = [it for it in UNITS.glob("*.service") if settings(it, "User") == ["appliance"]]
    return {it.stem for it in units if may_write(it, f"{NODE}/{folder}")}


def rights(unit: str) -> frozenset[str]:
    return frozenset(settings(UNITS / f"{unit}.service", "AmbientCapabilities"))


def folders_of_a_node() -> set[str]:
    """Those that the picture of a node's folder names; `run` is a file system of its own boot."""
    return set(re.findall(r"^  ([\w-]+)/", layout.__doc__ or "", re.MULTILINE)) - {"run"}


@pytest.mark.parametrize("folder", WRITERS)
def test_a_folder_is_written_by_these_programs_of_the_account_alone(folder: str) -> None:
    assert writers(folder) == WRITERS[folder]


def test_each_folder_of_a_node_has_its_row() -> None:
    assert folders_of_a_node() == WRITERS.keys() | NOT_OF_THE_ACCOUNT


def test_units_of_different_rights_share_no_folder_but_those_that_are_named() -> None:
    several = {folder for folder, units in WRITERS.items() if len({rights(it) for it in units}) > 1}
    assert several - SHARED == {"portal-work", "restores"}
    # A program that may write every file that it sees gains nothing by a link of another one: the sweep sees less of
    # them.
    assert all("CAP_DAC_OVERRIDE" in rights(it) for it in (WORKER, FORGETS))


def test_no_program_of_the_account_that_may_write_any_file_reaches_what_is_held_for_others() -> None:
    strong = {
        it
        for it in UNITS.glob("*.service")
        if settings(it, "User") == ["appliance"]
        and any(
            "CAP_DAC_OVERRIDE" in line for line in it.read_text().splitlines() if line.startswith("AmbientCapabilities")
        )
    }
    assert {f"{WORKER}.service", f"{FORGETS}.service"} <= {it.name for it in strong}
    assert [it.name for it in strong if may_write(it, "/srv/appliance/vault")] == []


def test_what_is_closed_to_a_unit_is_there_before_it_starts() -> None:
    closed = {
        Path(path).name
        for unit in UNITS.glob("*.service")
        for path in settings(unit, "ReadOnlyPaths")
        if path.startswith(f"{NODE}/")
    }
    by_their_roles = {"portal", "portal-work", "acme"}
    by_the_keys_of_the_node = {"keys", "tls"}
    assert closed == {*APART, *by_their_roles, *by_the_keys_of_the_node}


def test_pages_share_no_folder_with_who_has_powers() -> None:
    pages = UNITS / "appliance-portal.service"
    assert settings(pages, "ReadWritePaths") == [f"{NODE}/portal"]
    assert f"ReadOnlyPaths={NODE}/portal\n" in (UNITS / "appliance-portal-work.service").read_text()
