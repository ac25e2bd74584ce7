"""One seeded run of failover in process mode: clients write, faults come and go, everything heals, the checker judges.

The history is kept, so `appliance lab check` judges it again; the seed repeats what was drawn, not the moments at
which processes of a busy machine do what.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from appliance.errors import ApplianceError
from appliance_lab.checkers.invariants import CHECKS
from appliance_lab.checkers.verdict import Report, check, read
from appliance_lab.counters import prove_counters
from appliance_lab.processes.failover import FailoverWorld
from appliance_lab.processes.faults import FAULTS, heal, inject, possible
from appliance_lab.processes.writer import FILE

FAULTS_IN_A_RUN = 3
SETTLES_SECONDS_MAX = 90.0
WRITE_EVERY_SECONDS = 0.1


@dataclass(eq=False)
class Clients(threading.Thread):
    """Write numbers, one after the other, wherever they are let; what nobody acknowledged is not tried again."""

    world: FailoverWorld
    number: int = 1000
    ended: threading.Event = field(default_factory=threading.Event)
    last: str = ""

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        while not self.ended.wait(WRITE_EVERY_SECONDS):
            self.number += 1
            self.last = self.world.add(self.number) or self.last


@contextlib.contextmanager
def writing(world: FailoverWorld) -> Iterator[Clients]:
    clients = Clients(world)
    clients.start()
    try:
        yield clients
    finally:
        clients.ended.set()
        clients.join()


def play(world: FailoverWorld, seed: int) -> Report:
    """Draw faults by `seed` and let them happen to `world`, which serves at its home; what the checker says of it."""
    draw = random.Random(seed)
    with writing(world) as clients:
        world.wait(lambda: save(world, clients.last), "something that clients wrote is safe")
        for _ in range(FAULTS_IN_A_RUN):
            _disturb(world, draw)
            save(world, clients.last)
        world.tell("nemesis", 0, "healed")
        _settle(world)
    states = _states_at_rest(world)
    tell_branches(world)
    if shown := world.read():  # where nobody serves nothing was read, and nothing is lost by that
        world.tell("client", 0, "op", type="ok", f="read", value=shown["numbers"])
    home = world.candidates[0]
    world.tell("", 0, "end", holder=world.told(home).get("holder"), owner=world.told(home).get("writer"), states=states)
    prove_counters(map(world.territory.open, world.territory.nodes))
    (history,) = read(world.history())
    return check(history, CHECKS)


def _disturb(world: FailoverWorld, draw: random.Random) -> None:
    """One fault, or two that overlap, and their healing; long enough for a takeover, or not."""
    lease = world.territory.territory.lease_seconds
    chosen: dict[str, str] = {}
    kinds = draw.sample(possible(world), draw.choice((1, 1, 2)))
    alone = [kind for kind in kinds if FAULTS[kind].alone][:1]
    for kind in alone or kinds:
        target = draw.choice(FAULTS[kind].targets(world))
        if target not in chosen.values():
            chosen[kind] = target
    for kind, target in chosen.items():
        inject(world, kind, target)
        time.sleep(draw.uniform(0, 1))
    time.sleep(draw.choice((0.2, 0.7, 1.5, 3.0)) * lease)
    for kind, target in chosen.items():
        heal(world, kind, target)


def save(world: FailoverWorld, writer: str) -> bool:
    """Back up where clients were served last, and say whether it is safe: what is shown there before it must be found
    after any takeover.

    Not all that was ever acknowledged: another writer may have died with some of it, and keeps that as a branch.
    """
    there = world.ask(writer, world.ports[writer][0], "/") if writer else None
    if there is None:
        return False
    before = [int(number) for number in there["numbers"]]
    with contextlib.suppress(ApplianceError):
        done = world.node(writer).cli("backup", "run", world.service, "--json", check=False)
        shown = json.loads(done.stdout) if done.exit_code in (0, 1) else {}
        if shown.get("safety", {}).get("counted"):
            epoch = int(shown["generation"].partition(".")[0])
            for number in before:
                world.tell("vault", epoch, "received", writer=writer, n=number, accepted=True)
            return True
    return False


def tell_branches(world: FailoverWorld) -> None:
    """Write down the branches that nodes keep apart and nobody else has."""
    for name in world.candidates:
        for folder in sorted((world.node(name).layout.service(world.service).root / "branches").glob("*/")):
            numbers = [int(word) for file in folder.rglob(FILE) for word in file.read_text().split()]
            world.tell(name, int(folder.name), "branch", values=numbers)


def _settle(world: FailoverWorld) -> None:
    """Wait until it is as it began, for a whole lease: served at home, others standing by. Handed back where another
    has it. The status of a node that hung or was dead until now is old."""
    home, *others = world.candidates
    deadline, well_since = time.monotonic() + SETTLES_SECONDS_MAX, float("inf")
    while (now := time.monotonic()) < deadline and now < well_since + world.territory.territory.lease_seconds:
        well_since = min(well_since, now) if _is_settled(world, home, others) else float("inf")
        if world.state(home) == "STANDBY" and any(world.state(name) == "ACTIVE" for name in others):
            world.tell("operator", 0, "handover", to=home)
            world.node(home).cli("failover", "move", world.service, home, "--timeout", "40", check=False)
        time.sleep(0.2)


def _states_at_rest(world: FailoverWorld) -> dict[str, str]:
    """The states, at a moment at which no renewal is late if there is one: busy machines are suspect now and then."""
    home, *_ = world.candidates
    for _ in range(100):
        states = {name: world.state(name) for name in world.candidates}
        if states[home] != "SUSPECT":
            break
        time.sleep(0.05)
    return states


def _is_settled(world: FailoverWorld, home: str, others: list[str]) -> bool:
    told = world.told(home)
    at_home = (told.get("state"), told.get("holder"), told.get("writer")) == ("ACTIVE", home, home)
    # A node that has not heard of the newest grant yet may be about to put aside what only it has.
    by = {"state": "STANDBY", "newest_epoch": told.get("newest_epoch")}
    return at_home and all(by.items() <= world.told(name).items() for name in others)
