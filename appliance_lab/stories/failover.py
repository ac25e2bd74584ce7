"""`make story-failover`: services survive the loss of their node, never with two writers.

Real etcd, brokers, borg and ssh between plain processes on loopback; then, played by root, hosts of a lab, where lines
are cut, addresses move and units serve sites, a database and a share: each of those steps is a file of tests.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from appliance.backup.vault.replicas import replica_of
from appliance.config.load import load
from appliance.errors import Unsupported
from appliance.territory.model import Territory
from appliance.trust.keys import create_key
from appliance_lab.checkers.invariants import CHECKS
from appliance_lab.checkers.verdict import check, read
from appliance_lab.counters import prove_counters
from appliance_lab.processes.etcd import ETCD
from appliance_lab.processes.failover import FailoverWorld, failover_world
from appliance_lab.processes.faults import heal, inject
from appliance_lab.processes.run import save, tell_branches
from appliance_lab.stories.tested import LAB_KEPT, LAB_NAME, Suite, carry_out, check_down, check_tests
from appliance_lab.story import Story, Unknown, require

ORIGIN, STANDBY, SERVICE, ZONE = "commune-a", "hermitage", "docs-a", "valley"
LEASE_SECONDS = 4
TITLE = "Services survive the loss of their node, and never have two writers"
ON_HOSTS = (
    Suite(
        "on hosts, a database: a planned move under load, its home cut off, a power cut, a program that hangs",
        ("lab/test_database_on_hosts.py",),
        5400.0,
    ),
    Suite(
        "on hosts, a share: a planned move, its home cut off, and what both sides wrote kept and merged",
        ("lab/test_share_on_hosts.py",),
        5400.0,
    ),
    Suite(
        "on hosts, a box with sites, a share and a database: moved, evacuated, cut off, unheard, frozen, without "
        "power, without a majority, all off and on, quarantined",
        ("lab/test_failover_on_hosts.py",),
        5400.0,
    ),
    Suite(
        "on hosts, a voter is replaced as the playbook prints it, with moves of all services before and after",
        ("lab/test_replaced_on_hosts.py",),
        5400.0,
    ),
)


def play(
    name: str,
    inventory: Path,
    report: Path,
    say: Callable[[str], None],
    *,
    keep: bool,
    on_hosts: tuple[Suite, ...] = ON_HOSTS,
) -> Story:
    """Play it with the territory of `inventory`, and by root in labs called `name`, one after another, too; what is
    played there is unknown for anybody else.

    The processes end with it; with `keep` the last lab stays up.
    """
    if not ETCD.exists():
        raise Unsupported("etcd is not installed.", remedy="Run `make setup`.")
    has_hosts = os.geteuid() == 0
    if has_hosts:
        check_tests("story-failover")
        check_down(name)
    elif on_hosts:
        say("Steps on hosts will be unknown: they need root.")
    story, plan = Story("failover", TITLE, report), load(inventory)
    with tempfile.TemporaryDirectory(prefix="failover-") as folder:
        key = Path(folder) / "maintenance_ed25519"
        create_key(key)
        public = key.with_name(f"{key.name}.pub").read_text().strip()
        plan = replace(plan, people={"maintenance": replace(plan.people["maintenance"], keys=(public,))})
        _exclusive(story, Path(folder), plan)
        _local_first(story, Path(folder), plan, key)
    for step in on_hosts:
        told = {LAB_NAME: name, LAB_KEPT: "yes" if keep and step == on_hosts[-1] else ""}
        story.step(step.name, partial(carry_out, step, told) if has_hosts else _without_hosts)
    story.write()
    return story


def _without_hosts() -> str:
    raise Unknown("hosts need root.", remedy="sudo make story-failover")


def _exclusive(story: Story, folder: Path, plan: Territory) -> None:
    with _world(folder / "exclusive", plan, "exclusive") as world:
        story.step("a majority of three voters knows who holds an exclusive service", lambda: _begun(world))
        story.step("its node dies, and the standby goes on under an epoch that voters sign", lambda: _killed(world))
        story.step("it comes back, keeps apart what only it had, and gets its service back", lambda: _returned(world))
        story.step("its program hangs, and the watchdog stops the service in time", lambda: _hung(world))
        story.step("the voters lose their majority, and nothing is moved for it", lambda: _quorum_lost(world))
        story.step("a zone is evacuated without a lost write", lambda: _evacuated(world))
        story.step("everything goes off and on again, in another order", lambda: _all_off_and_on(world))
        story.step("the checker finds no second writer and nothing lost", lambda: _judged(world))


def _local_first(story: Story, folder: Path, plan: Territory, key: Path) -> None:
    with _world(folder / "local-first", plan, "local-first", key) as world:
        story.step("a town hall's own service is served at home", lambda: _begun(world))
        story.step("without voters it goes on; when it dies, a dated copy is served", lambda: _alone(world))
        story.step("a person promotes the standby; what the home wrote alone is kept", lambda: _promoted(world))
        story.step("the checker finds no second writer beside the one a person accepted", lambda: _judged(world))


@contextlib.contextmanager
def _world(folder: Path, plan: Territory, policy: str, key: Path | None = None) -> Iterator[FailoverWorld]:
    folder.mkdir()
    with failover_world(folder, plan, SERVICE, policy=policy, lease_seconds=LEASE_SECONDS, operator_key=key) as world:
        yield world


def _begun(world: FailoverWorld) -> str:
    world.wait_for(ORIGIN, "ACTIVE")
    for number in range(5):
        require(world.add(number) == ORIGIN, f"{number} was not taken at {ORIGIN}.")
    save(world, ORIGIN)
    world.wait_for(STANDBY, "STANDBY")
    return f"{ORIGIN} serves under epoch {world.read()['epoch']}; {STANDBY} stands by with generation 2.1"


def _killed(world: FailoverWorld) -> str:
    world.add(90)
    inject(world, "kill", ORIGIN)
    seconds = world.wait_for(STANDBY, "ACTIVE")
    require(world.add(100) == STANDBY, f"a client is not served at {STANDBY}.")
    shown = world.read()
    require(shown["numbers"] == [0, 1, 2, 3, 4, 100], f"other writes are found: {shown['numbers']}.")
    epochs = replica_of(world.territory.open("commune-b"), SERVICE).epochs()
    require(shown["epoch"] in epochs, "the blind peer does not know the new epoch.")
    return f"served again after {seconds:.1f} s at a lease of {LEASE_SECONDS} s, under epoch {shown['epoch']}"


def _returned(world: FailoverWorld) -> str:
    heal(world, "kill", ORIGIN)
    branch = world.node(ORIGIN).layout.service(SERVICE).root / "branches/2"
    world.wait(branch.exists, "what only the dead had is kept")
    kept = next(branch.rglob("numbers")).read_text().split()
    require("90" in kept, "the write that was in no backup is gone.")
    world.wait_for(ORIGIN, "STANDBY")
    _move(world, "move", SERVICE, ORIGIN)
    world.wait_for(ORIGIN, "ACTIVE")
    require(world.add(101) == ORIGIN, f"a client is not served at {ORIGIN}.")
    require({100, 101} <= set(world.read()["numbers"]), "what was written elsewhere did not come back.")
    return f"{len(kept)} numbers are kept in branches/2, and {ORIGIN} serves under epoch {world.read()['epoch']}"


def _move(world: FailoverWorld, *words: str) -> None:
    world.tell("operator", 0, "handover", to=words[-1])
    done = world.node(STANDBY).cli("failover", *words, "--within", "60", check=False)
    told = "; ".join(f"{name}: {world.told(name)}" for name in world.candidates)
    require(done.exit_code == 0, f"failover {' '.join(words)}: {done.tail()} {told}")


def _hung(world: FailoverWorld) -> str:
    save(world, ORIGIN)
    inject(world, "hang", ORIGIN)
    seconds = world.wait(lambda: world.program(ORIGIN).running() is None, "the watchdog ends the service")
    require(world.state(STANDBY) != "ACTIVE", "two could write at once.")
    world.wait_for(STANDBY, "ACTIVE")
    heal(world, "hang", ORIGIN)
    world.wait_for(ORIGIN, "STANDBY")
    _move(world, "move", SERVICE, ORIGIN)
    world.wait_for(ORIGIN, "ACTIVE")
    return f"it was ended after {seconds:.1f} s, before anybody else could hold the lease"


def _quorum_lost(world: FailoverWorld) -> str:
    epoch = world.read()["epoch"]
    inject(world, "quorum", "voters")
    world.wait_for(ORIGIN, "RO_ISOLATED")
    require(world.add(102) == "", "something was acknowledged without a proof.")
    heal(world, "quorum", "voters")
    world.wait_for(ORIGIN, "ACTIVE")
    require(world.read()["epoch"] == epoch, "the epoch is another one.")
    return f"it stopped in time and went on under epoch {epoch}"


def _evacuated(world: FailoverWorld) -> str:
    _move(world, "evacuate", ZONE)
    require(world.add(103) == STANDBY, f"a client is not served at {STANDBY}.")
    require(sorted(world.added) == sorted({*world.read()["numbers"], 90}), "a planned move lost something.")
    _move(world, "move", SERVICE, ORIGIN)
    world.wait_for(ORIGIN, "ACTIVE")
    return f"{ORIGIN} was left for {STANDBY} and taken again, with every write that was acknowledged"


def _all_off_and_on(world: FailoverWorld) -> str:
    save(world, ORIGIN)
    names = tuple(world.territory.nodes)
    order = " ".join(reversed(names))
    inject(world, "everything", order)
    heal(world, "everything", order)
    world.wait_for(ORIGIN, "ACTIVE")
    require(world.add(104) == ORIGIN, f"a client is not served at {ORIGIN}.")
    return f"{len(names)} nodes with their voters are back, and {ORIGIN} serves"


def _alone(world: FailoverWorld) -> str:
    inject(world, "quorum", "voters")
    world.wait_for(ORIGIN, "ISOLATED_RW")
    require(world.add(50) == ORIGIN, "the town hall cannot work without voters.")
    heal(world, "quorum", "voters")
    world.wait_for(ORIGIN, "ACTIVE")
    inject(world, "kill", ORIGIN)
    world.wait_for(STANDBY, "RO_SERVE")
    world.wait(lambda: world.read_copy(STANDBY), "the copy is served")
    copy = world.read_copy(STANDBY) or {}
    require(copy.get("copy") is True and copy["numbers"] == [0, 1, 2, 3, 4], "the copy is not the last saved one.")
    require(world.add(51) == "", "somebody writes although nobody is known to be dead.")
    heal(world, "kill", ORIGIN)
    world.wait_for(ORIGIN, "ACTIVE")
    return f"{ORIGIN} worked alone; dead, it was served for reading at {STANDBY}, and came back by itself"


def _promoted(world: FailoverWorld) -> str:
    inject(world, "hang", ORIGIN)
    refused = world.node(STANDBY).cli("failover", "promote", SERVICE, check=False)
    require(refused.exit_code == 8, "the living was replaced without an act.")
    act = world.sign("promote", STANDBY, SERVICE)
    world.tell("operator", 0, "proof-of-death", of=ORIGIN, kind="act")
    world.node(STANDBY).cli("failover", "promote", SERVICE, "--act", str(act))
    require(world.add(70) == ORIGIN, f"{ORIGIN} does not go on alone.")
    world.wait(lambda: world.program(STANDBY).running(), f"{STANDBY} serves")
    heal(world, "hang", ORIGIN)
    world.wait_for(ORIGIN, "STANDBY")
    branch = world.node(ORIGIN).layout.service(SERVICE).root / "branches/2"
    require("70" in next(branch.rglob("numbers")).read_text().split(), "what the home wrote alone is gone.")
    require(world.add(71) == STANDBY, f"a client is not served at {STANDBY}.")
    return "without an act it was refused; with it the standby writes, and the home's own writes are in branches/2"


def _judged(world: FailoverWorld) -> str:
    tell_branches(world)
    (history,) = read(world.history())
    found = check(history, CHECKS)
    broken = [f"{it.name}: {it.sentence}" for it in found.findings if it.verdict == "violated"]
    require(not broken, "; ".join(broken))
    held = [it.name for it in found.findings if it.verdict == "held"]
    objects = prove_counters(map(world.territory.open, world.territory.nodes))
    return f"{', '.join(held)} held over {len(history.events)} events; {objects} objects share no counter"
