"""A home that comes back: it gets its service again by itself, and a person merges what it wrote alone."""

from __future__ import annotations

import asyncio
import json
import os
import time
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from appliance.backup.peers.adopt import own_repository
from appliance.borg.client import Borg
from appliance.clock import SystemClock, utc_text
from appliance.coordination.etcd import Etcd
from appliance.coordination.keys import new_lease
from appliance.coordination.port import Claim
from appliance.failover.status import failover_lock
from appliance.host.journal import Journal
from appliance.voter.etcd_admin import EtcdAdmin
from appliance_lab.processes.failover import VOTERS, FailoverWorld
from appliance_lab.processes.faults import heal, inject
from appliance_lab.processes.run import save
from tests.integration.failover.conftest import LEASE_SECONDS, SERVICE, Begin, files, violated

HOME, STANDBY = "commune-a", "hermitage"


def replaced_and_ready(world: FailoverWorld) -> float:
    """Its home died, the standby wrote 100, and the home has caught up; the moment of that, of the monotonic clock."""
    world.kill(HOME)
    world.wait_for(STANDBY, "ACTIVE")
    assert world.add(100) == STANDBY
    world.start(HOME)
    world.tell("nemesis", 0, "heal", fault="kill", target=HOME)
    world.wait_for(HOME, "STANDBY")
    return time.monotonic()


@pytest.mark.slow
def test_a_service_goes_home_by_itself_at_night_once_its_home_has_been_ready_for_twenty_leases(begin: Begin) -> None:
    world = begin("exclusive", hand_back=around_now())
    ready = replaced_and_ready(world)
    world.wait(lambda: world.state(HOME) == "ACTIVE", "it is served at home again", seconds=180)
    assert time.monotonic() - ready > 19 * LEASE_SECONDS, "not before its home was caught up for a while"
    assert world.add(101) == HOME
    assert world.read()["numbers"] == [0, 1, 2, 100, 101], "it lost nothing"
    world.wait_for(STANDBY, "STANDBY")
    assert violated(world) == {}


def test_a_person_hands_it_back_once_its_home_has_been_ready_for_twenty_leases(begin: Begin) -> None:
    """By then brokers have seen to their voters, which they do once a minute."""
    world = begin("exclusive")
    ready = replaced_and_ready(world)
    assert hand_back(world, "--dry-run") is None
    world.wait(lambda: hand_back(world, "--dry-run"), "it may be handed back", seconds=180)
    assert time.monotonic() - ready > 19 * LEASE_SECONDS, "not before its home was caught up for a while"
    plan = hand_back(world, "--dry-run")
    assert plan is not None
    assert (plan["origin"], plan["to"], plan["rpo_seconds"]) == (STANDBY, HOME, 0)
    assert world.add(101) == STANDBY, "a plan moves nothing"
    world.tell("operator", 0, "handover", to=HOME)
    assert hand_back(world) is not None
    assert world.add(102) == HOME
    assert violated(world) == {}
    assert_brokers_see_to_their_voters(world)


def assert_brokers_see_to_their_voters(world: FailoverWorld) -> None:
    """Each has copied its store and said how it is; the lead is where the territory wants it."""
    for name in VOTERS:
        care = world.node(name).layout.voter_maintenance
        world.wait(lambda care=care: list(care.glob("*.snapshot")), f"{name} has copied its store")  # type: ignore[misc]
        world.wait((care / "care.json").exists, f"{name} has said how its voter is")
    # A broker looks once a minute, and gives a lead that it has just got at its next look.
    world.wait(lambda: asyncio.run(leader(world)) == STANDBY, "the lead is handed over", seconds=180)
    answers = json.loads(world.node(STANDBY).cli("--json", "doctor", check=False).stdout)
    (voter,) = (it for it in answers["checks"] if it["check"] == "voter")
    assert voter["state"] == "ok"


async def leader(world: FailoverWorld) -> str:
    admin = EtcdAdmin(world.etcd.addresses[0])
    numbers = {number: name for name, number in (await admin.members()).items()}
    status = await admin.status()
    await admin.close()
    return numbers.get(status.leader, "")


def hand_back(world: FailoverWorld, *more: str) -> dict[str, Any] | None:
    """Return the answer of `handback`; None where it is refused."""
    told = world.node(STANDBY).cli("failover", "handback", SERVICE, "--json", *more, check=False)
    return json.loads(told.stdout) if told.exit_code == 0 else None


@pytest.mark.slow
def test_everything_is_off_and_comes_back_in_another_order(begin: Begin) -> None:
    world = begin("exclusive")
    assert world.add(80) == HOME
    order = f"{STANDBY} commune-c {HOME} commune-b"
    inject(world, "everything", order)
    assert world.add(81) == ""
    heal(world, "everything", order)
    world.wait(lambda: world.add(82), "somebody serves again")
    assert violated(world) == {}


@pytest.mark.root
@pytest.mark.slow
def test_a_disk_that_is_full_keeps_nobody_from_holding_the_service_and_is_no_reason_to_take_it(begin: Begin) -> None:
    world = begin("exclusive", disturbed=True)
    epoch = world.told(HOME)["epoch"]
    inject(world, "disk-full", HOME)
    assert world.node(HOME).cli("backup", "run", SERVICE, check=False).exit_code not in (0, 1)
    full = time.monotonic() + 2 * LEASE_SECONDS
    while time.monotonic() < full:
        world.wait(lambda: world.add(len(world.added) + 200) == HOME, "it is served")
    heal(world, "disk-full", HOME)
    world.node(HOME).cli("backup", "run", SERVICE)
    assert world.told(STANDBY)["newest_epoch"] == epoch
    assert violated(world) == {}


def test_what_both_sides_wrote_is_merged_by_a_person_and_nothing_of_either_is_lost(begin: Begin) -> None:
    world = begin("exclusive")
    home, standby = (files(world, name) for name in (HOME, STANDBY))
    for name in ("mine.txt", "both.txt", "theirs.txt", "gone.txt"):
        (home / name).write_text("as both knew it")
    world.node(HOME).cli("backup", "run", SERVICE)
    well = dict.fromkeys(("holder", "epoch", "home", "pause", "branch", "failover", "majority", "quarantine"), "ok")
    assert checked(world, HOME) == checked(world, STANDBY) == well
    for name, text in (("mine.txt", "home"), ("both.txt", "home"), ("new/note.txt", "home"), ("same.txt", "alike")):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(text)
    (home / "gone.txt").unlink()
    world.kill(HOME)
    world.wait_for(STANDBY, "ACTIVE")
    for name, text in (("both.txt", "standby"), ("theirs.txt", "standby"), ("same.txt", "alike")):
        (standby / name).write_text(text)
    world.start(HOME)
    world.tell("nemesis", 0, "heal", fault="kill", target=HOME)
    node = world.node(HOME)
    world.wait((node.layout.service(SERVICE).root / "branches/2").exists, "what only the dead had is kept")
    world.wait_for(HOME, "STANDBY")
    world.wait(lambda: checked(world, HOME) == {**well, "branch": "warning"}, "the doctor tells of the branch")
    assert checked(world, STANDBY) == well, "a takeover is nothing to be told of"
    early = node.cli("failover", "merge", SERVICE, check=False)
    assert early.exit_code == 8
    assert b"docs-a must be merged on the node that writes it, and hermitage writes it, not commune-a." in early.stderr
    world.tell("operator", 0, "handover", to=HOME)
    node.cli("failover", "move", SERVICE, HOME, "--timeout", "60")
    shown = node.cli("failover", "status", check=False)
    assert b"under epoch 2 waits for a merge: appliance" in shown.stdout
    planned = json.loads(node.cli("failover", "merge", SERVICE, "--dry-run", "--json").stdout)
    below = "srv/docs-a"
    assert planned["taken"] == [f"{below}/mine.txt", f"{below}/new/note.txt"]
    assert planned["removed"] == [f"{below}/gone.txt"]
    (beside,) = planned["both"].values()
    assert beside.startswith(f"{below}/both (")
    assert not (home / "new").exists(), "a dry run changes nothing"
    node.cli("failover", "merge", SERVICE)
    texts = {path.relative_to(home).as_posix(): path.read_text() for path in home.rglob("*.txt")}
    assert texts == {
        "mine.txt": "home",
        "both.txt": "standby",
        beside.removeprefix(f"{below}/"): "home",
        "theirs.txt": "standby",
        "new/note.txt": "home",
        "same.txt": "alike",
        "gone.txt": "as both knew it",
    }
    (kept,) = (node.layout.service(SERVICE).root / "replaced-files").glob(f"merge-2/{below}/*")
    assert (kept.name, kept.read_text()) == ("mine.txt", "as both knew it")
    again = json.loads(node.cli("failover", "merge", SERVICE, "--branch", "2", "--json").stdout)
    assert (again["taken"], again["both"], again["there"]) == ([], {}, [f"{below}/both.txt"])
    assert node.cli("failover", "merge", SERVICE, check=False).exit_code == 3, "none waits any more"
    assert json.loads(node.cli("failover", "status", "--json").stdout)["services"][0]["branches"] == []
    assert checked(world, HOME) == well
    world.kill(HOME)
    os.utime(failover_lock(node.layout), (1, 1))  # some minutes later
    ended = checked(world, HOME)
    assert (ended["failover"], ended["holder"]) == ("failed", "unknown"), "and never nobody"


def test_a_home_that_wrote_nothing_alone_leaves_nobody_a_branch_to_decide_about(begin: Begin) -> None:
    world = begin("exclusive")
    node = world.node(HOME)
    (files(world, HOME) / "note.txt").write_text("as both know it")
    node.cli("backup", "run", SERVICE)
    world.kill(HOME)
    world.wait_for(STANDBY, "ACTIVE")
    (files(world, STANDBY) / "note.txt").write_text("standby")
    world.start(HOME)
    world.tell("nemesis", 0, "heal", fault="kill", target=HOME)
    branch = node.layout.service(SERVICE).root / "branches/2"
    world.wait(branch.exists, "what the dead had is kept")
    world.wait_for(HOME, "STANDBY")
    assert b"under epoch 2 waits for a merge: appliance" in node.cli("failover", "status", check=False).stdout
    world.tell("operator", 0, "handover", to=HOME)
    node.cli("failover", "move", SERVICE, HOME, "--timeout", "60")
    node.cli("backup", "run", SERVICE)
    assert json.loads(node.cli("failover", "status", "--json").stdout)["services"][0]["branches"] == []
    assert json.loads(branch.with_suffix(".json").read_bytes())["known"] is True
    assert list(branch.rglob("note.txt")), "it stays all the same"
    assert Borg(own_repository(node.layout.service(SERVICE))).archives(branches=True) == ()
    node.cli("backup", "run", SERVICE)
    assert len(list(Journal(node.layout.journal, SystemClock()).events("branch-settled"))) == 1, "once"


def checked(world: FailoverWorld, name: str) -> dict[str, str]:
    """Return the doctor's checks of failover on a node: the state of each."""
    answers = json.loads(world.node(name).cli("doctor", "--all", "--json", check=False).stdout)["checks"]
    about = ("failover", "majority", "quarantine")
    return {it["check"]: it["state"] for it in answers if it["role"] == "failover" or it["check"] in about}


def around_now() -> str:
    """The hours before and after this moment, where the territory is."""
    now = datetime.now(ZoneInfo("Europe/Paris"))
    return f"{now - timedelta(hours=2):%H:%M}-{now + timedelta(hours=2):%H:%M}"


def test_a_claim_that_never_got_a_grant_keeps_nobody_from_the_next_one(begin: Begin) -> None:
    """A node that claimed the service and died before brokers signed leaves an owner without a grant."""
    world = begin("exclusive")
    world.kill(HOME)
    world.wait_for(STANDBY, "ACTIVE")
    save(world, STANDBY)
    world.start(HOME)
    world.tell("nemesis", 0, "heal", fault="kill", target=HOME)
    world.wait_for(HOME, "STANDBY")
    world.end(HOME)
    world.kill(STANDBY)
    asyncio.run(_claim(world, HOME))
    world.start(HOME)
    world.wait_for(HOME, "ACTIVE")
    assert world.read()["epoch"] == 7, "5 may have been signed for the claim"
    assert world.add(100) == HOME


async def _claim(world: FailoverWorld, name: str) -> None:
    """Claim the service as a program does that ends right after it."""
    store = Etcd(world.etcd.addresses, SystemClock())
    while (record := await store.read(SERVICE)).holder is not None:
        await asyncio.sleep(0.1)
    lease, now = new_lease(name, 7), utc_text(SystemClock().now())
    claim = Claim(SERVICE, name, "cut off", lease, record.owned, LEASE_SECONDS, "takes over by vacancy", now)
    assert (await store.acquire(claim)).node == name
    await store.close()
