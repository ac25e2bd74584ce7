"""Root makes a host a node: its keys belong to the account of the node, and no link of that account's leads root."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.host.account import as_owner
from appliance.host.command import run
from appliance.provision.apply import Host
from appliance.provision.setup import Owners, set_up
from appliance.trust.identity import Identity
from appliance.trust.keys import create_key
from tests.worlds.towns import PUBLIC, bundle, town

pytestmark = pytest.mark.root
ACCOUNT = "daemon"  # every Debian has it, and nothing runs as it
OWNERS = Owners(node=ACCOUNT, vault="mail")
STATE = Path("/srv/appliance/node")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host in a folder that every account may pass."""
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o711)
    (tmp_path / "run").mkdir()
    own = tmp_path / "var/lib/appliance"  # as our package makes it
    own.mkdir(parents=True)
    os.chown(own, 1, 1)
    return Host(tmp_path, lambda argv: None)


def test_the_keys_belong_to_the_account_of_the_node_and_what_it_passes_through_to_root(
    host: Host, tmp_path: Path
) -> None:
    towns = bundle([town("commune-a", 1), town("commune-b", 2)])
    set_up(Identity("commune-a", PUBLIC), STATE, host, bundle=towns, owners=OWNERS)
    state = tmp_path / "srv/appliance/node"
    assert {"bundle", "run/authorized_keys"} <= {str(path.relative_to(state)) for path in state.rglob("*")}
    assert {path.owner() for path in (state, *state.rglob("*"))} == {ACCOUNT}
    assert (state.group(), (state / "keys/age").group()) == ("mail", ACCOUNT)
    assert {path.owner() for path in (state.parent, *(tmp_path / "etc/appliance").iterdir())} == {"root"}
    assert os.getresuid() == os.getresgid() == (0, 0, 0)


def test_a_folder_of_somebody_else_is_given_back_and_nothing_else_changes(host: Host, tmp_path: Path) -> None:
    wanted = Identity("commune-a", create_key(tmp_path / "territory"))
    made = set_up(wanted, STATE, host, owners=OWNERS)
    os.chown(tmp_path / "srv/appliance/node", 0, 0)
    mended = set_up(wanted, STATE, host, owners=OWNERS)
    assert (mended.changed, mended.keys) == ((str(STATE),), made.keys)


def test_root_reads_in_that_folder_as_its_account_and_starts_programs_as_it(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o711)
    (tmp_path / "secret").write_text("root's")
    (tmp_path / "secret").chmod(0o600)
    own = tmp_path / "own"
    own.mkdir()
    os.chown(own, 1, 1)
    (own / "link").symlink_to(tmp_path / "secret")
    with as_owner(own):
        with pytest.raises(PermissionError):
            (own / "link").read_text()
        said = run(("cat", "/proc/self/status"), timeout_seconds=10, check=True).stdout.decode()
    lines = dict(line.split(":\t") for line in said.splitlines() if line.startswith(("Uid", "Gid", "Cap")))
    assert lines["Uid"].split() == lines["Gid"].split() == ["1"] * 4
    assert {int(lines[it], 16) for it in ("CapEff", "CapPrm", "CapAmb")} == {0}
    assert (own / "link").read_text() == "root's"


def test_after_an_error_root_is_root_again(tmp_path: Path) -> None:
    groups = os.getgroups()
    os.chown(tmp_path, 1, 1)
    with pytest.raises(ZeroDivisionError), as_owner(tmp_path):
        1 / 0  # noqa: B018
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == ((0, 0, 0), (0, 0, 0), groups)


def test_somebody_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    words = ("internal", "node", "setup", "commune-a", "--territory-key", create_key(tmp_path / "territory"))
    assert main.run(["--state", str(tmp_path / "node"), *words]) == 6
    assert "only root can make a host a node" in capsys.readouterr().err
    assert not (tmp_path / "node").exists()


def test_a_dry_run_answers_in_json_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "internal",
        "node",
        "setup",
        "commune-a",
        "--dry-run",
        "--territory-key",
        create_key(tmp_path / "territory"),
    )
    assert main.run(["--json", "--state", str(tmp_path / "a/node"), *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["node"], told["user"], told["keys"], told["dry_run"]) == ("commune-a", "vault-", None, True)
    assert str(tmp_path / "a/node/node.json") in told["changed"]
    assert not (tmp_path / "a").exists()
