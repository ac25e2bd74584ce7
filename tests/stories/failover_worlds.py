"""The territory of the story of failover: plain processes on loopback with real etcd, brokers, borg and ssh."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.config.load import load
from appliance.trust.keys import create_key
from appliance_lab.checkers.invariants import CHECKS
from appliance_lab.checkers.verdict import check, read
from appliance_lab.counters import prove_counters
from appliance_lab.processes.etcd import ETCD
from appliance_lab.processes.failover import FailoverWorld, failover_world
from appliance_lab.processes.run import save, tell_branches
from appliance_lab.story import require
from tests.worlds.demo import INVENTORY, with_operator

ORIGIN, STANDBY, SERVICE, ZONE = "commune-a", "hermitage", "docs-a", "valley"
LEASE_SECONDS = 4


@contextlib.contextmanager
def failover_of(folder: Path, policy: str) -> Iterator[FailoverWorld]:
    """A service of `policy` at ORIGIN with a standby, and the key of a maintenance team that may sign acts."""
    if not ETCD.exists():
        pytest.skip("etcd is not installed: make setup")
    key = folder / "maintenance_ed25519"
    create_key(key)
    plan = with_operator(load(INVENTORY), key)
    world = failover_world(folder / policy, plan, SERVICE, policy=policy, lease_seconds=LEASE_SECONDS, operator_key=key)
    (folder / policy).mkdir()
    with world as it:
        yield it


def begin(world: FailoverWorld) -> str:
    """Some numbers are taken and saved at ORIGIN; a sentence with what is served."""
    world.wait_for(ORIGIN, "ACTIVE")
    for number in range(5):
        require(world.add(number) == ORIGIN, f"{number} was not taken at {ORIGIN}.")
    save(world, ORIGIN)
    world.wait_for(STANDBY, "STANDBY")
    return f"{ORIGIN} serves under epoch {world.read()['epoch']}; {STANDBY} stands by with generation 2.1"


def move(world: FailoverWorld, *words: str) -> None:
    world.tell("operator", 0, "handover", to=words[-1])
    done = world.node(STANDBY).cli("failover", *words, "--timeout", "60", check=False)
    told = "; ".join(f"{name}: {world.told(name)}" for name in world.candidates)
    require(done.exit_code == 0, f"failover {' '.join(words)}: {done.tail()} {told}")


def judge(world: FailoverWorld) -> str:
    """Return the promises of failover that held over all that happened; raise Violated with those that did not."""
    tell_branches(world)
    (history,) = read(world.history())
    found = check(history, CHECKS)
    broken = [f"{it.name}: {it.sentence}" for it in found.findings if it.verdict == "violated"]
    require(not broken, "; ".join(broken))
    held = [it.name for it in found.findings if it.verdict == "held"]
    objects = prove_counters(map(world.territory.open, world.territory.nodes))
    return f"{', '.join(held)} held over {len(history.events)} events; {objects} objects share no counter"
