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
from appliance_lab.processes.failover import Stage
from appliance_lab.processes.faults import FAULTS, heal, inject, possible
from appliance_lab.processes.writer import FILE

FAULTS_IN_A_RUN = 3
SETTLES_SECONDS_MAX = 90.0
WRITE_EVERY_SECONDS = 0.1


@dataclass(eq=False)
class Clients(threading.Thread):
    """Write numbers, one after the other, wherever they are let; what nobody acknowledged is not tried again."""

    stage: Stage
    number: int = 1000
    ended: threading.Event = field(default_factory=threading.Event)
    last: str = ""

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        while not self.ended.wait(WRITE_EVERY_SECONDS):
            self.number += 1
            self.last = self.stage.add(self.number) or self.last


@contextlib.contextmanager
def writing(stage: Stage) -> Iterator[Clients]:
    clients = Clients(stage)
    clients.start()
    try:
        yield clients
    finally:
        clients.ended.set()
        clients.join()


def play(stage: Stage, seed: int) -> Report:
    """Draw faults by `seed` and let them happen to `stage`, which serves at its home; what the checker says of it."""
    draw = random.Random(seed)
    with writing(stage) as clients:
        stage.wait(lambda: save(stage, clients.last), "something that clients wrote is safe")
        for _ in range(FAULTS_IN_A_RUN):
            _disturb(stage, draw)
            save(stage, clients.last)
        stage.tell("nemesis", 0, "healed")
        _settle(stage)
    states = _states_at_rest(stage)
    tell_branches(stage)
    if shown := stage.read():  # where nobody serves nothing was read, and nothing is lost by that
        stage.tell("client", 0, "op", type="ok", f="read", value=shown["numbers"])
    home = stage.candidates[0]
    stage.tell("", 0, "end", holder=stage.told(home).get("holder"), owner=stage.told(home).get("writer"), states=states)
    prove_counters(map(stage.territory.open, stage.territory.nodes))
    (history,) = read(stage.history())
    return check(history, CHECKS)


def _disturb(stage: Stage, draw: random.Random) -> None:
    """One fault, or two that overlap, and their healing; long enough for a takeover, or not."""
    lease = stage.territory.territory.lease_seconds
    chosen: dict[str, str] = {}
    kinds = draw.sample(possible(stage), draw.choice((1, 1, 2)))
    alone = [kind for kind in kinds if FAULTS[kind].alone][:1]
    for kind in alone or kinds:
        target = draw.choice(FAULTS[kind].targets(stage))
        if target not in chosen.values():
            chosen[kind] = target
    for kind, target in chosen.items():
        inject(stage, kind, target)
        time.sleep(draw.uniform(0, 1))
    time.sleep(draw.choice((0.2, 0.7, 1.5, 3.0)) * lease)
    for kind, target in chosen.items():
        heal(stage, kind, target)


def save(stage: Stage, writer: str) -> bool:
    """Back up where clients were served last, and say whether it is safe: what is shown there before it must be found
    after any takeover.

    Not all that was ever acknowledged: another writer may have died with some of it, and keeps that as a branch.
    """
    there = stage.ask(writer, stage.ports[writer][0], "/") if writer else None
    if there is None:
        return False
    before = [int(number) for number in there["numbers"]]
    with contextlib.suppress(ApplianceError):
        done = stage.node(writer).cli("backup", "run", stage.service, "--json", check=False)
        shown = json.loads(done.stdout) if done.exit_code in (0, 1) else {}
        if shown.get("safety", {}).get("counted"):
            epoch = int(shown["generation"].partition(".")[0])
            for number in before:
                stage.tell("vault", epoch, "received", writer=writer, n=number, accepted=True)
            return True
    return False


def tell_branches(stage: Stage) -> None:
    """What nodes keep apart of what they wrote and nobody else has."""
    for name in stage.candidates:
        for folder in sorted((stage.node(name).layout.service(stage.service).root / "branches").glob("*/")):
            numbers = [int(word) for file in folder.rglob(FILE) for word in file.read_text().split()]
            stage.tell(name, int(folder.name), "branch", values=numbers)


def _settle(stage: Stage) -> None:
    """Wait until it is as it began, for a whole lease: served at home, others standing by. Handed back where another
    has it. What a node tells that hung or was dead until now is old."""
    home, *others = stage.candidates
    deadline, well_since = time.monotonic() + SETTLES_SECONDS_MAX, float("inf")
    while (now := time.monotonic()) < deadline and now < well_since + stage.territory.territory.lease_seconds:
        well_since = min(well_since, now) if _is_settled(stage, home, others) else float("inf")
        if stage.state(home) == "STANDBY" and any(stage.state(name) == "ACTIVE" for name in others):
            stage.tell("operator", 0, "handover", to=home)
            stage.node(home).cli("failover", "move", stage.service, home, "--within", "40", check=False)
        time.sleep(0.2)


def _states_at_rest(stage: Stage) -> dict[str, str]:
    """The states, at a moment at which no renewal is late if there is one: busy machines are suspect now and then."""
    home, *_ = stage.candidates
    for _ in range(100):
        states = {name: stage.state(name) for name in stage.candidates}
        if states[home] != "SUSPECT":
            break
        time.sleep(0.05)
    return states


def _is_settled(stage: Stage, home: str, others: list[str]) -> bool:
    told = stage.told(home)
    at_home = (told.get("state"), told.get("holder"), told.get("writer")) == ("ACTIVE", home, home)
    # Who has not heard of the newest grant yet may be about to put aside what only it has.
    by = {"state": "STANDBY", "newest_epoch": told.get("newest_epoch")}
    return at_home and all(by.items() <= stage.told(name).items() for name in others)
