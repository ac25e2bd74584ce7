"""Root types at a node that runs as a plain account: nothing of root's stays in its folder, and restores still work."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from pathlib import Path

import pytest

from appliance.backup.sources.files import walk
from appliance.cli.this_layout import this_layout
from appliance.errors import Refused
from appliance.host.account import setpriv, step_down_to_owner
from appliance.host.command import run
from appliance.host.disks.opened import is_open
from appliance_lab.processes.territory import ProcessTerritory

pytestmark = pytest.mark.root
SERVICE = "docs-a"
ACCOUNT = "daemon"  # every Debian has it, and nothing runs as it
NOBODYS = 61_999
READS_ALL = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
AS_AGENT = ("setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups", *READS_ALL)


@pytest.fixture
def node_of_an_account(territory: ProcessTerritory) -> ProcessTerritory:
    """commune-a's folder, and the one it lies in, belong to ACCOUNT, as they do on a host."""
    state = territory.nodes["commune-a"].state
    run(("chown", "-R", f"{ACCOUNT}:", str(state)), timeout_seconds=60, check=True)
    shutil.chown(state.parent, ACCOUNT)
    return territory


def kept_of_others(state: Path) -> list[Path]:
    return [path for path in state.rglob("*") if path.owner() != ACCOUNT]


def expire_as_the_agent(state: Path) -> None:
    """The agent's own tidying, when everything is old, with the agent's one capability."""
    restores = str(state / "restores" / SERVICE)
    code = f"""
from pathlib import Path
from appliance.restore.undo import expire
expire(Path({restores!r}), age_seconds=10**9)
"""
    run((*AS_AGENT, "/usr/bin/python3", "-c", code), timeout_seconds=60, check=True)


def owners(folder: Path) -> set[str]:
    return {path.owner() for path in (folder, *folder.rglob("*")) if not path.is_symlink()}


def test_what_root_types_is_done_as_the_account_and_a_restore_gives_back_owners_modes_and_groups(
    node_of_an_account: ProcessTerritory, documents: Path
) -> None:
    node = node_of_an_account.nodes["commune-a"]
    private = documents / "Maire"
    private.mkdir()
    (private / "lettre.odt").write_text("as it was")
    os.chown(private / "lettre.odt", 1, 65534)  # of somebody else, whatever this machine calls them
    os.chmod(private / "lettre.odt", 0o600)
    os.chown(private, 2, 65534)
    os.chmod(private, 0o2770)
    node.cli("backup", "run", SERVICE)
    assert owners(node.state) == {ACCOUNT}

    (private / "lettre.odt").write_text("overwritten")
    node.cli("restore", "folder", str(private), "--in-place")
    file, folder = (private / "lettre.odt").stat(), private.stat()
    assert (private / "lettre.odt").read_text() == "as it was"
    assert (file.st_uid, file.st_gid, stat.S_IMODE(file.st_mode)) == (1, 65534, 0o600)
    assert (folder.st_uid, folder.st_gid, stat.S_IMODE(folder.st_mode)) == (2, 65534, 0o2770)
    # What was replaced is kept as it was, owner included: that alone is not the account's.
    assert kept_of_others(node.state)
    assert all("/restores/" in str(path) for path in kept_of_others(node.state))

    expire_as_the_agent(node.state)
    assert kept_of_others(node.state)  # it may not remove them, and goes on
    node.cli("internal", "restore", "expire")
    assert kept_of_others(node.state) == []
    assert owners(node.state) == {ACCOUNT}


def test_what_the_agents_one_capability_lets_it_read_is_not_called_unreadable(tmp_path: Path) -> None:
    (tmp_path / "private.odt").write_text("x")
    (tmp_path / "private.odt").chmod(0o600)
    code = f"from appliance.backup.sources.files import {walk.__name__} as w; print(w({str(tmp_path)!r}).left_out)"
    result = run((*AS_AGENT, "/usr/bin/python3", "-c", code), timeout_seconds=60, check=True)
    assert result.stdout.decode() == "()\n"


def test_a_file_of_somebody_else_that_is_open_is_seen_by_who_merges_as_root(tmp_path: Path) -> None:
    """Merging is typed by root and done as the account: it replaced what people on a host had open."""
    file = tmp_path / "letter.odt"
    file.write_text("Monsieur le Préfet")
    os.chown(file, NOBODYS, NOBODYS)
    asks = f"from appliance.host.disks.opened import {is_open.__name__} as ask; print(ask({str(file)!r}))"
    argv = setpriv(pwd.getpwnam(ACCOUNT), ("/usr/bin/python3", "-c", asks))
    with file.open():
        assert run(argv, timeout_seconds=60, check=True).stdout == b"True\n"


def test_a_folder_of_an_account_that_is_gone_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODYS, NOBODYS)
    with pytest.raises(Refused, match="61999"):
        step_down_to_owner(tmp_path / "node")


def test_roots_own_folder_stays_roots(tmp_path: Path) -> None:
    step_down_to_owner(tmp_path / "node")
    assert os.geteuid() == 0
    assert this_layout
