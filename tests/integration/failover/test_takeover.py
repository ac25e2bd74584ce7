"""Failover between real programs, with real etcd, brokers, borg and ssh: who writes, who is refused, what is found."""

from __future__ import annotations

import asyncio
import base64
import threading

import pytest

from appliance.agent.act import perform
from appliance.agent.decisions import Ready
from appliance.agent.memory import Memory
from appliance.agent.observe import Observer, now_of
from appliance.backup.vault.replicas import replica_of
from appliance.clock import SystemClock, utc_text
from appliance.coordination.etcd import Etcd
from appliance.coordination.gateway import Gateway
from appliance.coordination.keys import new_lease
from appliance.coordination.port import Claim
from appliance.coordination.remote import Broker, Remote
from appliance.coordination.tls import client_tls
from appliance.failover.votes import Round, ask_all
from appliance.failover.warm_standby import tree_of
from appliance.host.files import make_private_folder
from appliance.monitor.view import Ahead, Written
from appliance.node.current import files_of
from appliance.node.handle import Node
from appliance.trust.grant import make_request, read_request
from appliance.trust.keys import load_key, public_line
from appliance_lab.processes.failover import VOTERS, FailoverWorld
from appliance_lab.processes.faults import heal, inject
from tests.integration.failover.conftest import HOME, LEASE_SECONDS, SERVICE, STANDBY, Begin, violated
from tests.integration.failover.former_writer import assert_the_vault_refuses_the_old_epoch


def epochs(world: FailoverWorld, name: str) -> tuple[int, ...]:
    """The epochs whose grants the vault of `name` knows."""
    return replica_of(world.territory.open(name), SERVICE).epochs()


def test_the_standby_of_a_dead_holder_serves_under_a_voted_grant_and_vaults_refuse_the_old_epoch(begin: Begin) -> None:
    world = begin("exclusive")
    lost = 99
    world.add(lost)
    world.kill(HOME)
    world.wait_for(STANDBY, "ACTIVE")
    assert world.add(100) == STANDBY
    assert world.read()["numbers"] == [0, 1, 2, 100], "all that was saved; what was not is within the RPO"
    assert world.read()["epoch"] == 3
    assert epochs(world, "commune-b") == (2, 3)
    world.start(HOME)
    world.tell("nemesis", 0, "heal", fault="kill", target=HOME)
    branch = world.node(HOME).layout.service(SERVICE).root / "branches/2"
    world.wait(branch.exists, "what only the dead had is kept")
    assert str(lost) in next(branch.rglob("numbers")).read_text().split()
    world.wait_for(HOME, "STANDBY")
    refused = world.node(HOME).cli("backup", "run", SERVICE, check=False)
    assert refused.exit_code == 8
    assert b"docs-a is written by hermitage, not by this node" in refused.stderr
    assert_the_vault_refuses_the_old_epoch(world)
    assert violated(world) == {}


def test_what_was_laid_out_ahead_is_renamed_into_place(begin: Begin) -> None:
    world = begin("exclusive")
    standby = world.territory.open(STANDBY)
    assert [it.service for it in ahead_of(standby)] == [SERVICE]
    assert not ahead_of(world.territory.open(HOME)), "its own files are there"
    opening = standby.service(SERVICE).opening
    make_private_folder(opening.parent)
    opening.touch()
    assert not ahead_of(standby), "a node that takes it over would wait for that"
    opening.unlink()
    assert perform(standby, Ready(SERVICE, "a test", "newest")).figures == {"ahead": 1, "whole": 1}
    tree = tree_of(standby, SERVICE).folder
    inode = next(tree.rglob("numbers")).stat().st_ino
    world.kill(HOME)
    world.wait_for(STANDBY, "ACTIVE")
    [path] = standby.bundle.terms(SERVICE).service.paths
    assert next(files_of(standby, path).rglob("numbers")).stat().st_ino == inode
    assert not tree.exists()
    assert not ahead_of(standby)
    assert world.add(100) == STANDBY
    assert world.read()["numbers"] == [0, 1, 2, 100]
    world.start(HOME)
    world.wait_for(HOME, "STANDBY")
    world.node(STANDBY).cli("failover", "move", SERVICE, HOME)
    world.wait_for(HOME, "ACTIVE")
    world.node(HOME).cli("backup", "run", SERVICE)
    assert [it.service for it in ahead_of(standby)] == [SERVICE], "for the next time its home is lost"
    assert not written_by(standby), "nothing of it is to be saved from here any more"


def written_by(node: Node) -> tuple[Written, ...]:
    return Observer().look(node, now_of(node), Memory()).written


def ahead_of(node: Node) -> tuple[Ahead, ...]:
    return Observer().look(node, now_of(node), Memory()).ahead


def test_a_hung_agent_has_its_service_stopped_by_the_watchdog_before_its_lease_ends(begin: Begin) -> None:
    world = begin("exclusive")
    assert world.program(HOME).running()
    world.hang(HOME)
    world.wait(lambda: world.program(HOME).running() is None, "the watchdog ended it")
    assert world.state(STANDBY) in ("STANDBY", "GRACE"), "before anybody else could begin"
    world.wait_for(STANDBY, "ACTIVE")
    assert world.add(100) == STANDBY
    world.thaw(HOME)
    world.wait_for(HOME, "STANDBY")
    assert world.add(101) == STANDBY
    assert violated(world) == {}


def test_the_loss_of_the_majority_is_no_failover_and_the_holder_goes_on_under_its_epoch(begin: Begin) -> None:
    """At once, with the lease that it had: a new leader lets that start over, and at its end anybody may be faster."""
    world = begin("exclusive", lease_seconds=2 * LEASE_SECONDS)
    for voter in world.etcd.voters[1:]:
        voter.kill()
    world.wait_for(HOME, "RO_ISOLATED")
    assert world.add(50) == ""
    world.wait(lambda: world.read_copy(HOME), "its own site may read what is here")
    assert world.state(STANDBY) == "STANDBY"
    for voter in world.etcd.voters[1:]:
        voter.start()
    world.wait_for(HOME, "ACTIVE")
    assert world.add(51) == HOME
    assert world.read()["epoch"] == 2
    assert world.told(STANDBY)["newest_epoch"] == 2
    assert not [line for line in world.history() if '"holder-deleted"' in line]
    assert violated(world) == {}


def test_the_others_go_on_when_a_voter_is_revoked(begin: Begin) -> None:
    """Two of three sign. Its box still runs, and is asked nothing."""
    world = begin("exclusive")
    revoked = "commune-c"
    del world.territory.members[revoked]
    world.territory.sign([name for name in world.territory.nodes if name != revoked])
    world.kill(HOME)
    world.wait_for(STANDBY, "ACTIVE")
    assert world.add(100) == STANDBY
    assert violated(world) == {}


def test_a_local_first_home_goes_on_without_voters_and_its_standby_serves_a_dated_copy_when_it_dies(
    begin: Begin,
) -> None:
    world = begin("local-first")
    for voter in world.etcd.voters[1:]:
        voter.kill()
    world.wait_for(HOME, "ISOLATED_RW")
    assert world.add(50) == HOME
    for voter in world.etcd.voters[1:]:
        voter.start()
    world.wait_for(HOME, "ACTIVE")
    world.kill(HOME)
    world.wait_for(STANDBY, "RO_SERVE")
    world.wait(lambda: world.read_copy(STANDBY), "the copy is served")
    copy = world.read_copy(STANDBY)
    assert copy is not None
    assert (copy["copy"], copy["numbers"]) == (True, [0, 1, 2])
    assert world.add(51) == "", "nobody writes it without a signed act"


def test_a_mirror_is_read_at_its_standby_at_all_times_and_follows_each_save_there(begin: Begin) -> None:
    world = begin("mirror")
    for number in (50, 51):
        assert world.add(number) == HOME
        world.node(HOME).cli("backup", "run", SERVICE)
        world.wait(lambda n=number: n in (world.read_copy(STANDBY) or {}).get("numbers", ()), f"{number} is shown")  # type: ignore[misc]
    copy = world.read_copy(STANDBY)
    assert copy is not None
    assert copy["numbers"] == [0, 1, 2, 50, 51]
    assert world.state(STANDBY) == "RO_SERVE"
    assert world.told(HOME)["trouble"] == {}, "nobody holds a mirror, so nobody asks to"
    assert violated(world) == {}


@pytest.mark.parametrize("policy", ["local-first", "exclusive"])
def test_a_takeover_forged_into_etcd_gets_no_grant_while_the_holder_lives(policy: str, begin: Begin) -> None:
    """An attacker with one voter writes into the store what it likes, and asks the brokers with a candidate's own
    key."""
    world = begin(policy)
    inject(world, "hang", STANDBY)  # its own program would give the lease back
    asyncio.run(_forge(world))
    ends = SystemClock().boottime() + 3 * LEASE_SECONDS
    why = "did not release docs-a" if policy == "local-first" else "commune-a has not been silent to this broker"
    while SystemClock().boottime() < ends:
        found = asyncio.run(_ask_for_grant(world))
        assert found.grant is None
        assert set(found.reasons) == set(VOTERS)
        assert all(why in reason for reason in found.reasons.values()), found.reasons
        server = world.add(60)
        assert server == HOME or policy == "exclusive", "the home never stopped"
    assert (server == HOME) == (policy == "local-first"), "who lost its lease has stopped"
    assert epochs(world, "commune-b") == (2,), "no vault heard of another one"
    heal(world, "hang", STANDBY)
    world.wait(lambda: world.told(HOME)["holder"] == HOME, "its home holds it again")
    world.wait(lambda: world.add(61) == HOME, "its home serves it")
    assert world.program(STANDBY).running() is None
    assert violated(world) == {}


async def _forge(world: FailoverWorld) -> None:
    store = Etcd(world.etcd.addresses, SystemClock())
    record = await store.read(SERVICE)
    assert record.holder is not None
    lease, now = new_lease(STANDBY, 7), utc_text(SystemClock().now())
    claim = Claim(SERVICE, STANDBY, "forged", lease, record.owned, 60, "forged", now, ousts=record.holder.revision)
    assert (await store.acquire(claim)).node == STANDBY
    await store.close()


async def _ask_for_grant(world: FailoverWorld) -> Round:
    node = world.territory.open(STANDBY)
    key = load_key(node.signing_key)
    present = node.bundle.granters.read(replica_of(node, SERVICE).grant(2))
    fields = {"service": SERVICE, "repository": present.repository, "writer": STANDBY, "reason": "forged"}
    request = read_request(make_request(key, known_epoch=2, **fields), public_line(key))  # type: ignore[arg-type]
    tls, plan = client_tls(node.layout.tls), node.bundle.territory
    brokers = {
        name: Remote(
            [Broker(plan.nodes[name].reach, plan.nodes[name].broker_port, f"{name}.{plan.domain}")], node.clock, tls
        )
        for name in VOTERS
    }
    try:
        return await ask_all(brokers, request, [present.document.raw.decode()], node.bundle.voting, 4.0)
    finally:
        for broker in brokers.values():
            await broker.close()


@pytest.mark.parametrize("policy", ["local-first", "exclusive"])
def test_whoever_empties_the_voters_store_gives_no_other_node_an_epoch(policy: str, begin: Begin) -> None:
    """The standby may be the first to ask an empty store: it gets no grant, gives up, and the home begins another."""
    world = begin(policy)
    asyncio.run(_empty(world))
    ends = SystemClock().boottime() + 2 * LEASE_SECONDS
    while SystemClock().boottime() < ends:
        assert world.add(70) == HOME or policy == "exclusive", "the home never stopped"
    world.wait(lambda: world.add(71) == HOME, "its home serves it", seconds=120)
    world.wait(lambda: world.told(HOME)["holder"] == HOME, "its home holds it again")
    assert world.told(HOME)["writer"] == HOME
    assert world.told(HOME)["epoch"] == epochs(world, "commune-b")[-1], "the newest that a vault knows is the home's"
    assert world.program(STANDBY).running() is None
    broken = violated(world)
    assert broken.pop("F6") == "the lease of commune-a ended before its time.", "which is what was done"
    assert broken.keys() <= {"F10"}, "the history was told of no fault: a takeover by the home has no reason in it"


async def _empty(world: FailoverWorld) -> None:
    gateway = Gateway(world.etcd.addresses)
    everything = base64.b64encode(b"\0").decode()
    assert int((await gateway.ask("/v3/kv/deleterange", {"key": everything, "range_end": everything}))["deleted"]) > 0  # type: ignore[arg-type]
    await gateway.close()


def test_a_planned_move_refuses_no_write_and_loses_none(begin: Begin) -> None:
    world = begin("local-first")
    told = world.node(STANDBY).cli("failover", "move", SERVICE, STANDBY, "--dry-run").stdout.decode()
    assert "docs-a moves from commune-a to hermitage:" in told
    assert "Lost: nothing" in told
    written = Client(world)
    written.start()
    world.tell("operator", 0, "handover", to=STANDBY)
    moved = world.node(STANDBY).cli("failover", "move", SERVICE, STANDBY, "--json", "--timeout", "30", check=False)
    assert moved.exit_code == 0, moved.stderr
    written.wait_for(STANDBY)
    world.wait_for(HOME, "STANDBY")
    early = world.node(STANDBY).cli("failover", "handback", SERVICE, check=False)
    assert early.exit_code == 8
    assert b"`appliance failover move docs-a commune-a` does not wait" in early.stderr
    world.tell("operator", 0, "handover", to=HOME)
    back = world.node(HOME).cli("failover", "move", SERVICE, HOME, "--timeout", "30", check=False)
    assert back.exit_code == 0, back.stderr
    written.wait_for(HOME)
    written.end()
    world.wait_for(HOME, "ACTIVE")
    assert sorted(world.read()["numbers"]) == sorted(world.added)
    assert written.given_up == []
    assert violated(world) == {}


class Client(threading.Thread):
    """Writes all the time, each number again until it is acknowledged."""

    def __init__(self, world: FailoverWorld) -> None:
        super().__init__(daemon=True)  # a test that fails does not wait for it
        self.world, self.ended, self.seen = world, threading.Event(), threading.Event()
        self.given_up: list[int] = []
        self.last = ""

    def run(self) -> None:
        number = 1000
        while not self.ended.is_set():
            number += 1
            tries = iter(range(600))
            while not (node := self.world.add(number)) and next(tries, None) is not None:
                self.ended.wait(0.05)
            if node:
                self.last = node
            else:
                self.given_up.append(number)

    def wait_for(self, node: str) -> None:
        self.world.wait(lambda: self.last == node, f"a client is served by {node}")

    def end(self) -> None:
        self.ended.set()
        self.join()
