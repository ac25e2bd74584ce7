"""The accounts that get into a share of a real Samba, and those that no longer do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.accounts.model import Store
from appliance.accounts.store import write_store
from appliance.config.load import load
from appliance.territory.implicit import with_implicit
from appliance_lab.checkout import appliance_argv
from appliance_lab.hosts.pc import Pc
from tests.integration.share.conftest import LETS_NOBODY_IN, MARIE, PAUL, lets_in
from tests.integration.share.world import World
from tests.worlds.accounts import account
from tests.worlds.demo import INVENTORY, signed_territory

pytestmark = pytest.mark.root
NEW = "le pont de bois de Saint-Crépin"


@contextmanager
def stays(world: World, pc: Pc) -> Iterator[subprocess.Popen[bytes]]:
    """A PC that has a share open and waits for what its user types."""
    with pc.staying("Documents") as process:
        world.wait(lambda: pc.name.encode() in world.run("smbstatus", "--processes").stdout, "a session")
        yield process


def test_one_change_of_a_password_counts_at_once_and_the_old_one_is_refused(world: World, paul: Pc) -> None:
    assert lets_in(paul)
    world.account("passwd", "paul", password=NEW)
    assert paul.refusal("Documents", "ls") == LETS_NOBODY_IN
    assert lets_in(world.pc("paul", NEW))
    world.account("passwd", "paul", password=PAUL)
    assert lets_in(paul)


def test_who_is_logged_in_when_the_account_is_disabled_is_cut_off(world: World, paul: Pc) -> None:
    with stays(world, paul) as session:
        told = world.account("disable", "paul")
        assert "paul was logged in; its sessions were ended" in told
        out, _ = session.communicate(b"ls\n", timeout=60)
    assert b"NT_STATUS" in out, out
    world.account("enable", "paul")


def test_who_is_disabled_or_removed_is_refused_and_who_is_enabled_comes_in(world: World, paul: Pc) -> None:
    world.account("disable", "paul")
    assert paul.refusal("Documents", "ls") == "NT_STATUS_ACCOUNT_DISABLED"
    world.account("enable", "paul")
    assert lets_in(paul)
    world.account("remove", "paul")
    assert paul.refusal("Documents", "ls") == LETS_NOBODY_IN
    world.account("add", "paul", password=PAUL)
    assert lets_in(paul)


def test_nobody_comes_in_without_a_name_or_with_one_that_is_not_there(world: World) -> None:
    # The server denies access; a client that must sign and has no key for that hangs up at once.
    assert world.pc().refusal("Documents", "ls") in ("NT_STATUS_ACCESS_DENIED", "NT_STATUS_CONNECTION_DISCONNECTED")
    assert world.pc("guest", "guest").refusal("Documents", "ls") == LETS_NOBODY_IN
    assert world.pc("root", "x").refusal("Documents", "ls") == LETS_NOBODY_IN
    listed = world.run("smbclient", "--no-pass", "--list=127.0.0.1")
    assert b"Documents" not in listed.stdout


def test_a_share_with_groups_is_for_their_members(world: World, marie: Pc, paul: Pc) -> None:
    marie.did("Élus", "mkdir secret")
    assert paul.refusal("Élus", "ls") == "NT_STATUS_ACCESS_DENIED"
    world.account("change", "paul", "--group", "elus")
    assert lets_in(paul, "Élus")
    world.account("change", "paul", "--no-group")
    assert not lets_in(paul, "Élus")


@pytest.mark.parametrize("version", ["NT1", "SMB2_10"])
def test_an_old_version_of_smb_is_refused(world: World, version: str) -> None:
    options = (f"--option=client min protocol={'NT1' if version == 'NT1' else 'SMB2_02'}",)
    old = world.pc("marie", MARIE, *options, f"--option=client max protocol={version}")
    assert old.refusal("Documents", "ls")


def test_samba_itself_changes_no_password(world: World, marie: Pc) -> None:
    typed = f"{MARIE}\n{NEW}\n{NEW}\n".encode()
    changed = world.run("smbpasswd", "-s", "-r", "127.0.0.1", "-U", "marie", stdin=typed)
    assert changed.exit_code != 0
    assert lets_in(marie)
    assert not lets_in(world.pc("marie", NEW))


def test_the_people_of_another_town_hall_come_in_to_nothing_of_this_one(world: World, tmp_path: Path) -> None:
    other = Store("commune-b", {"zoe": account("zoe", "elus", password="un jardin de curé")})
    write_store(tmp_path / "accounts.json", other)
    world.account("feed", "--from", str(tmp_path / "accounts.json"))
    zoe = world.pc("zoe", "un jardin de curé")
    assert [zoe.refusal(share, "ls") for share in ("Documents", "Élus")] == ["NT_STATUS_ACCESS_DENIED"] * 2
    world.account("feed", "--without", "commune-b")
    assert zoe.refusal("Documents", "ls") == LETS_NOBODY_IN


def test_of_what_the_agent_brought_root_takes_what_the_bundle_says_and_nothing_else(
    world: World, tmp_path: Path
) -> None:
    plan = load(INVENTORY)
    other = replace(plan.services["docs-a"], name="docs-b", node="commune-b", standbys=("commune-a",))
    made = signed_territory(
        tmp_path / "territory", with_implicit(replace(plan, own_backup=True, services={"docs-b": other}))
    )
    node = "/srv/appliance/node"
    for name in ("node.json", "bundle"):
        world.did("cp", str(made.nodes["commune-a"].state / name), f"{node}/{name}")
    world.did("install", "--directory", f"{node}/people")

    def bring(home: str, of: str, name: str) -> None:
        write_store(tmp_path / "brought", Store(of, {name: account(name, "elus", password="un jardin de curé")}))
        world.did("cp", str(tmp_path / "brought"), f"{node}/people/{home}.json")

    bring("commune-b", "commune-b", "zoe")
    bring("commune-c", "commune-c", "yves")
    world.account("feed", "--brought")
    zoe, yves = (world.pc(name, "un jardin de curé") for name in ("zoe", "yves"))
    assert zoe.refusal("Documents", "ls") == "NT_STATUS_ACCESS_DENIED", "she logs in, and this share is not hers"
    assert yves.refusal("Documents", "ls") == LETS_NOBODY_IN
    bring("commune-b", "commune-a", "zoe")
    refused = world.run(*appliance_argv(), "internal", "account", "sync", "--brought")
    assert "these are the accounts of commune-a, not of commune-b" in refused.stderr.decode()
    world.account("feed", "--without", "commune-b")
    assert zoe.refusal("Documents", "ls") == LETS_NOBODY_IN


def test_feeding_once_more_changes_nothing(world: World) -> None:
    assert "changed:" not in world.account("feed")


def test_an_account_of_a_person_has_no_door_of_the_system(world: World) -> None:
    assert world.did("getent", "passwd", "marie").strip().endswith(":/nonexistent:/usr/sbin/nologin")
    assert world.did("getent", "shadow", "marie").split(":")[1].startswith("!")
    assert world.did("stat", "--format=%a %U", "/srv/accounts", "/srv/accounts/accounts.json").split() == [
        "700",
        "root",
        "600",
        "root",
    ]
