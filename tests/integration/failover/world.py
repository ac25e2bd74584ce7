"""A territory in simulated time: nodes that call the real `decide`, voters, a storage peer a node, clients, faults. One
seed gives one run; every run is written down as a history, which the checker of `appliance lab check` judges."""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from appliance.errors import Refused
from appliance.failover.fsm.model import Decision, Policy, Seen, Standing, State
from appliance.failover.fsm.table import decide
from appliance.failover.fsm.timers import Timers
from appliance.failover.handover import _check_receipts
from appliance.failover.ports import Synced
from appliance_lab.checkers.invariants import CHECKS
from appliance_lab.checkers.verdict import Report, check, read
from tests.integration.failover.host import Host
from tests.integration.failover.voters import Peer, Peers, Voters

NAMES = ("commune-a", "hermitage", "commune-b")
HOME, STANDBY, THIRD = NAMES
SEEDS = range(20)
TIMERS = Timers(promote=20.0, drain=20.0, cooldown=5.0, settle=5.0)
"""The measured ones, but for what people wait for: those are shorter, so that histories are."""
STEP = 0.125
WRITES_EVERY = 4
BACKS_UP_EVERY = 24
SETTLED_FOR = 6.0

type Decide = Callable[[Standing, Seen, Policy, Timers, float], Decision]


class World:
    """`fence`: whether storage peers refuse an older epoch. `receipts`: what raises Refused where the next writer lacks
    the last backup. `names_last`: whether a release
    names it: who lets go serves it, and the next writer goes on from nothing older."""

    def __init__(
        self,
        policy: Policy,
        seed: int,
        *,
        decide: Decide = decide,
        fence: bool = True,
        receipts: Callable[[Any, str, Synced], None] = _check_receipts,
        names_last: bool = True,
        timers: Timers = TIMERS,
    ) -> None:
        self.policy, self.decide, self.timers = policy, decide, timers
        self.receipts, self.names_last = receipts, names_last
        self.draw = random.Random(seed)
        self.now = 1000.0
        self.lines: list[dict[str, object]] = []
        self.waiting: list[tuple[float, int, Callable[[], None]]] = []
        self.wall_jump = 0.0
        self.alarms = self.resets = self.steps = self.value = self.asked = 0
        self.promotes = self.move_to = ""
        self.quarantined: set[str] = set()
        self.leaving: set[str] = set()
        self.paused = False
        self.hand_back = False
        self.watching: set[str] = set(NAMES)
        self.voters = Voters(self.tell, timers.ttl)
        self.peers = Peers({name: Peer(name, self.tell, fence) for name in NAMES})
        self.bases: dict[int, set[int]] = {}
        self.names = NAMES
        figures = {"ttl": timers.ttl, "epsilon": timers.epsilon, "grace": timers.grace, "cooldown": timers.cooldown}
        self.tell("", "begin", 0, policy=str(policy), home=NAMES[0], rto=90.0, **figures)
        self.hosts = {name: Host(self, name, rank) for rank, name in enumerate(NAMES)}
        if policy is Policy.MIRROR:
            self._begin_at_home()

    def _begin_at_home(self) -> None:
        """Nobody holds a mirror: its home got the first grant from who holds the key, before failover knew of it."""
        self.voters.nobodys = True
        self.voters.epoch = self.voters.granted = self.voters.highest = 1
        self.peers.present(1)
        disk = self.home.disk
        disk.own_epoch = disk.base_epoch = disk.acknowledged_epoch = 1
        disk.has_copy = True

    @property
    def serves_at_home(self) -> State:
        """In which state the home serves while all is well."""
        return State.ISOLATED_RW if self.policy is Policy.MIRROR else State.ACTIVE

    @property
    def home(self) -> Host:
        return self.hosts[self.names[0]]

    def tell(self, node: str, event: str, epoch: int, **more: object) -> None:
        fixed = {"t_boottime": round(self.now, 3), "wall": self.now + self.wall_jump, "node": node, "boot_id": "one"}
        self.lines.append({**fixed, "svc": "docs-a", "epoch": epoch, "event": event, **more})

    def when(self, host: Host, local: float) -> float:
        """The simulator's time at which the clock of `host` showed `local`."""
        return host.booted + (local - 5.0) / host.rate

    def latency(self) -> float:
        return self.draw.choice((0.01, 0.03, 0.03, 0.1, 0.6))

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        self.asked += 1
        heapq.heappush(self.waiting, (self.now + seconds, self.asked, what))

    def said(self) -> tuple[int, str, int, str, bool, str, int]:
        it = self.voters
        return it.changes, it.owner, it.epoch, it.holder, it.released, it.to, it.granted

    def home_ready(self, host: Host) -> float | None:
        """Since when, by the clock of `host`, the home has been a caught-up standby, as far as it can be asked."""
        home = self.home
        if host is home or not all((home.runs, home.out, home.into, host.out, host.into)):
            return None
        if home.standing.state is not State.STANDBY:
            return None
        return host.clock() - (home.clock() - home.standing.since)

    def may_let_go(self, writer: str, to: str, has: list[str]) -> bool:
        """Whether the product would call a planned move synced: `has` gave a receipt for the last backup."""
        site, plan = SimpleNamespace(name=writer), SimpleNamespace(node=self.names[0], standbys=self.names[1:])
        with suppress(Refused):
            self.receipts(SimpleNamespace(node=site, plan=plan, service="docs-a"), to, Synced("", tuple(has)))
            return True
        return False

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.step()

    def run_until(self, holds: Callable[[], bool], seconds: float) -> bool:
        end = self.now + seconds
        while self.now < end and not holds():
            self.step()
        return holds()

    def step(self) -> None:
        target = self.now + STEP
        while self.waiting and self.waiting[0][0] <= target:
            self.now, _, what = heapq.heappop(self.waiting)
            what()
        self.now = target
        self.steps += 1
        before = self.voters.holder
        if self.voters.tick(self.now) or before != self.voters.holder:
            self._watches_tell()
        for host in self.hosts.values():
            host.tick()
        if self.steps % WRITES_EVERY == 0:
            self._clients_write()
        if self.steps % BACKS_UP_EVERY == 0:
            for host in self.hosts.values():
                host.back_up()

    def _watches_tell(self) -> None:
        for host in self.hosts.values():
            if host.powered and host.into and host.out:
                host.hear()

    def _clients_write(self) -> None:
        for host in self.hosts.values():
            self.value += 1
            about = {"f": "add", "value": self.value, "server": host.name, "lan": host.name}
            if host.write(self.value):
                self.tell("client", "op", host.disk.own_epoch, type="ok", **about)
            elif host.home and host.runs and not host.held:
                self.tell("client", "op", host.disk.own_epoch, type="fail", **about)

    # Faults

    def fault(self, kind: str, name: str) -> None:
        self.tell("nemesis", "fault", 0, fault=kind, target=name)
        self._switch(kind, name, True)

    def heal(self, kind: str, name: str) -> None:
        self._switch(kind, name, False)
        self.tell("nemesis", "heal", 0, fault=kind, target=name)

    def _switch(self, kind: str, name: str, bad: bool) -> None:
        host = self.hosts.get(name)
        if kind == "quorum":
            self.voters.set_majority(not bad, self.now)
        elif kind == "silent":
            self.peers.peers[name].silent = bad
        elif kind == "clock":
            self.wall_jump += 3600.0 if bad else -3600.0
        elif host is not None:
            FAULTS[kind](host, bad)

    def promote(self, name: str) -> None:
        """Sign an act by which `name` must write, whichever node owns it now."""
        owner = self.voters.owner
        if self.policy is Policy.MIRROR or not owner or name == owner:
            return
        self.tell("operator", "proof-of-death", self.voters.epoch, of=owner, kind="act")
        self.promotes = name

    def move(self, name: str) -> None:
        self.tell("operator", "handover", 0, to=name)
        self.move_to = name

    def leave(self, name: str) -> None:
        """`name` is about to stop: it hands over whatever it holds."""
        self.tell("operator", "handover", 0, to="")
        self.leaving.add(name)

    def quarantine(self, name: str) -> None:
        self.tell("operator", "proof-of-death", 0, of=name, kind="act")
        self.quarantined.add(name)

    def take_wishes_back(self) -> None:
        self.quarantined.clear()
        self.leaving.clear()
        self.move_to = self.promotes = ""
        self.paused = False

    def heal_everything(self) -> None:
        for host in self.hosts.values():
            for kind in FAULTS:
                if kind != "service-crash":
                    self._switch(kind, host.name, False)
            host.power_on()
        for peer in self.peers.peers.values():
            peer.silent = False
        self.voters.set_majority(True, self.now)
        self.take_wishes_back()
        self.hand_back = True
        self.tell("nemesis", "healed", 0)

    def finish(self, seconds: float = 300.0) -> Report:
        """Heal everything, wait until all is as it began, read everything, and let the checker judge."""
        self.heal_everything()
        end = self.now + seconds
        while self.run_until(self._is_settled, end - self.now):
            self.run(SETTLED_FOR)  # an agent that was frozen or hung has seen nothing yet
            if self._is_settled():
                break
        self.tell("client", "op", 0, type="ok", f="read", value=sorted(self._writer().disk.tree))
        states = {host.name: str(host.standing.state) for host in self.hosts.values()}
        self.run(max(0.0, 90.0 - (self.now - self._healed_at())) if not self._is_settled() else 0.0)
        self.tell("", "end", 0, holder=self.voters.holder, owner=self.voters.owner, states=states)
        return self.judge()

    def _writer(self) -> Host:
        return next((host for host in self.hosts.values() if host.writer), self.home)

    def _healed_at(self) -> float:
        return next(float(str(it["t_boottime"])) for it in reversed(self.lines) if it["event"] == "healed")

    def _is_settled(self) -> bool:
        others = (State.RO_SERVE, State.STANDBY) if self.policy is Policy.MIRROR else (State.STANDBY,)
        states = [host.standing.state for host in self.hosts.values()]
        rest = all(state in others for state in states[1:]) and not self.home.disk.tail
        holder = "" if self.policy is Policy.MIRROR else self.names[0]
        return states[0] is self.serves_at_home and rest and self.voters.holder == holder == self.voters.owner

    def judge(self) -> Report:
        (history,) = read(json.dumps(line) for line in self.lines)
        return check(history, CHECKS)

    def write_to(self, path: Path) -> None:
        path.write_text("".join(f"{json.dumps(line)}\n" for line in self.lines))

    @property
    def rows(self) -> set[str]:
        return set().union(*(host.rows for host in self.hosts.values()))


def _power(host: Host, bad: bool) -> None:
    host.power_off() if bad else host.power_on()


def _cut(host: Host, bad: bool) -> None:
    host.out = host.into = not bad


def _flag(name: str, *, inverted: bool = False) -> Callable[[Host, bool], None]:
    return lambda host, bad: setattr(host, name, bad is not inverted)


def _freeze(host: Host, bad: bool) -> None:
    host.frozen = bad
    if not bad:
        host.tick()  # the node that wakes up first has some milliseconds; a step of ours is more


def _crash(host: Host, bad: bool) -> None:
    if bad and host.powered:
        host.kill_agent_and_service()


FAULTS: dict[str, Callable[[Host, bool], None]] = {
    "kill": _power,
    "freeze": _freeze,
    "hang": _flag("hung"),
    "cut": _cut,
    "cut-out": _flag("out", inverted=True),
    "cut-in": _flag("into", inverted=True),
    "service": _flag("sick"),
    "service-crash": _crash,
    "agent-restart": lambda host, bad: host.start_agent() if bad and host.runs else None,
}


def violated(report: Report) -> dict[str, str]:
    return {it.name: it.sentence for it in report.findings if it.verdict == "violated"}
