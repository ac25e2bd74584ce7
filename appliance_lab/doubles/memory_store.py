"""The port in memory and in simulated time, for tests and for histories of failover that are played by the thousand.

It does what etcd does where that matters: no lease ends without a majority, and all start over when one is back; a
watch without one says so; a node that is cut off hears nothing, and one whose answers are lost has asked all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from appliance.clock import SimulatedClock
from appliance.coordination import outcomes
from appliance.coordination.port import (
    CALL_SECONDS_MAX,
    WATCH_SECONDS_MAX,
    Alive,
    Claim,
    Ended,
    Event,
    Intent,
    Lease,
    LeaseHolder,
    Lost,
    Moved,
    NoLeader,
    Owner,
    Report,
    ServiceRecord,
)
from appliance.errors import Unreachable


class Line(Enum):
    """The state of a node's connection to the voters."""

    GOOD = "good"
    CUT = "cut"
    ANSWERS_LOST = "answers lost"


@dataclass
class _Lease:
    ttl_seconds: int
    ends: float
    drops: list[Callable[[], None]] = field(default_factory=list)
    """The records that its end removes."""


class Store:
    """The state on which a majority of the voters agrees; every node's `Memory` shares one. Nothing in it waits."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.has_majority = True
        self.revision = 1
        self._states: dict[str, ServiceRecord] = {}
        self._history: dict[str, list[Moved]] = {}
        self._alive: dict[str, Alive] = {}
        self._leases: dict[int, _Lease] = {}
        self._log: list[ServiceRecord] = []
        self._forgotten = 0
        """Changes before this revision can no longer be watched."""
        self._waiting: list[asyncio.Future[None]] = []

    def advance(self, seconds: float) -> None:
        """Let time pass; leases that end meanwhile end in their order."""
        self.clock.advance(seconds)
        self._lapse()
        self.wake()

    def lose_majority(self) -> None:
        self._lapse()
        self.has_majority = False
        self.wake()

    def regain_majority(self) -> None:
        """The new leader renews every lease, as it cannot know who was heard meanwhile."""
        self.has_majority = True
        for lease in self._leases.values():
            lease.ends = self.clock.boottime() + lease.ttl_seconds
        self.wake()

    def read(self, service: str) -> ServiceRecord:
        self._lapse()
        return replace(self._states.get(service, ServiceRecord(service, 0)), revision=self.revision)

    def history(self, service: str) -> tuple[Moved, ...]:
        return tuple(reversed(self._history.get(service, [])))

    def alive(self) -> tuple[Alive, ...]:
        self._lapse()
        return tuple(self._alive[name] for name in sorted(self._alive))

    def acquire(self, claim: Claim) -> Lease:
        record, sent = self.read(claim.service), self.clock.boottime()
        if claim.resumes and not outcomes.may_resume(record, claim):
            raise outcomes.taken(record)
        lease = self._grant(claim.lease, claim.ttl_seconds)
        outcomes.check_granted(claim, lease.ttl_seconds)
        if record.owned != claim.seen or (record.holder.revision if record.holder else 0) != claim.ousts:
            if held := outcomes.held_already(record, claim, lease.ttl_seconds, sent):
                return held
            raise outcomes.taken(record)
        revision = self.revision + 1
        owner = record.owner
        if not claim.resumes:
            owner = Owner(claim.node, claim.reason, claim.time, False, revision)
            self._note(claim.service, owner, claim.seen)
        holder = LeaseHolder(claim.node, claim.begun_by, claim.lease, revision)
        self._change(replace(record, owner=owner, holder=holder))
        lease.drops.append(lambda: self._drop_holder(claim.service, holder))
        assert owner is not None
        return Lease(claim.service, claim.node, claim.lease, owner.revision, revision, lease.ttl_seconds, sent)

    def renew(self, lease: Lease) -> Lease:
        sent = self.clock.boottime()
        record = self.read(lease.service)
        own = self._beat(lease.lease)
        if own is None:
            raise Lost(f"the lease on {lease.service} has expired.")
        if not outcomes.is_held(record, lease):
            raise outcomes.lost(record)
        return replace(lease, ttl_seconds=own.ttl_seconds, sent=sent)

    def release(self, lease: Lease, reason: str, time: str) -> None:
        record = self.read(lease.service)
        if not outcomes.is_held(record, lease):
            if outcomes.is_released(record, lease):
                return
            raise outcomes.lost(record)
        owner = Owner(lease.node, reason, time, True, self.revision + 1)
        self._note(lease.service, owner, lease.revision)
        self._change(replace(record, owner=owner, holder=None))

    def report(self, report: Report) -> None:
        self._lapse()
        if self._beat(report.lease):
            return
        if isinstance(report, Alive):
            self._grant(report.lease, report.ttl_seconds).drops.append(lambda: self._drop_alive(report))
            self._alive[report.node] = report
            self.revision += 1
            return
        record = self.read(report.service)
        if record.intent:
            raise outcomes.intended_already(record)
        self._grant(report.lease, report.ttl_seconds).drops.append(lambda: self._drop_intent(report))
        self._change(replace(record, intent=report))

    def withdraw(self, intent: Intent) -> None:
        self._lapse()
        self._end(intent.lease)

    def since(self, seen: ServiceRecord) -> list[ServiceRecord]:
        """The states of a service after `seen`, in their order."""
        self._lapse()
        return [record for record in self._log if record.service == seen.service and record.revision > seen.revision]

    def compact(self) -> None:
        """Forget what came before the present revision, as etcd does each hour: states are kept, changes are not."""
        self._forgotten = self.revision
        self._log = [record for record in self._log if record.revision >= self.revision]

    def has_forgotten(self, seen: ServiceRecord) -> bool:
        """Whether changes after `seen` may be missing from `since`."""
        return seen.revision + 1 < self._forgotten

    async def changed(self) -> None:
        """Wait until something happens: a change, time that passes, a line that is cut or repaired."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _grant(self, number: int, ttl_seconds: int) -> _Lease:
        lease = self._leases.setdefault(number, _Lease(ttl_seconds, 0.0))
        lease.ends = self.clock.boottime() + lease.ttl_seconds
        return lease

    def _beat(self, number: int) -> _Lease | None:
        return self._grant(number, 0) if number in self._leases else None

    def _lapse(self) -> None:
        if not self.has_majority:
            return
        now = self.clock.boottime()
        for number in sorted(self._leases, key=lambda number: self._leases[number].ends):
            if self._leases[number].ends <= now:
                self._end(number)

    def _end(self, number: int) -> None:
        lease = self._leases.pop(number, None)
        for drop in lease.drops if lease else ():
            drop()

    def _drop_holder(self, service: str, holder: LeaseHolder) -> None:
        record = self._states[service]
        if record.holder == holder:
            self._change(replace(record, holder=None))

    def _drop_intent(self, intent: Intent) -> None:
        record = self._states[intent.service]
        if record.intent == intent:
            self._change(replace(record, intent=None))

    def _drop_alive(self, alive: Alive) -> None:
        if self._alive.get(alive.node) == alive:
            del self._alive[alive.node]

    def _note(self, service: str, owner: Owner, previous: int) -> None:
        moved = Moved(owner.node, owner.reason, owner.time, owner.released, owner.revision, previous)
        self._history.setdefault(service, []).append(moved)

    def _change(self, record: ServiceRecord) -> None:
        self.revision += 1
        record = replace(record, revision=self.revision)
        self._states[record.service] = record
        self._log.append(record)
        self.wake()


class Memory:
    """One node's access to a `store`; `line` is what becomes of its calls from now on."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._line = Line.GOOD

    @property
    def line(self) -> Line:
        return self._line

    @line.setter
    def line(self, line: Line) -> None:
        self._line = line
        self._store.wake()

    async def read(self, service: str, *, seconds_max: float = CALL_SECONDS_MAX) -> ServiceRecord:
        return self._answer(lambda: self._store.read(service))

    async def history(
        self, service: str, *, entries_max: int = 100, seconds_max: float = CALL_SECONDS_MAX
    ) -> tuple[Moved, ...]:
        return self._answer(lambda: self._store.history(service)[:entries_max])

    async def alive(self, *, seconds_max: float = CALL_SECONDS_MAX) -> tuple[Alive, ...]:
        return self._answer(self._store.alive)

    async def acquire(self, claim: Claim, *, seconds_max: float = CALL_SECONDS_MAX) -> Lease:
        return self._answer(lambda: self._store.acquire(claim))

    async def renew(self, holding: Lease, *, seconds_max: float = CALL_SECONDS_MAX) -> Lease:
        return self._answer(lambda: self._store.renew(holding))

    async def release(self, holding: Lease, reason: str, time: str, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        self._answer(lambda: self._store.release(holding, reason, time))

    async def report(self, report: Report, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        self._answer(lambda: self._store.report(report))

    async def withdraw(self, intent: Intent, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        self._answer(lambda: self._store.withdraw(intent))

    async def watch(self, seen: ServiceRecord, *, seconds_max: float = WATCH_SECONDS_MAX) -> AsyncGenerator[Event]:
        ends = self._store.clock.boottime() + seconds_max
        is_armed = False
        while True:
            # Look at everything again after each event: much may happen while that is being handled.
            if self._line is Line.GOOD and not self._store.has_majority:
                yield NoLeader("the voters have no majority.")
                return
            if self._line is Line.GOOD and not is_armed:
                is_armed = True
                yield seen
                if self._store.has_forgotten(seen):
                    yield Ended("the store no longer has the changes after the last seen revision.")
                    return
            elif self._line is Line.GOOD and (later := self._store.since(seen)):
                seen = later[0]
                yield seen
            elif self._store.clock.boottime() >= ends:
                yield Ended(f"watched for {seconds_max:.0f} s.")
                return
            else:
                await self._store.changed()

    def _answer[T](self, ask: Callable[[], T]) -> T:
        if self._line is Line.CUT or not self._store.has_majority:
            raise Unreachable("no voter can answer.")
        try:
            return ask()
        finally:
            if self._line is Line.ANSWERS_LOST:
                raise Unreachable("no voter answered in time.")


def at_once[T](call: Coroutine[Any, Any, T]) -> T:
    """The result of a call of `Memory`, of which only `watch` ever waits: for simulators, which have no event loop."""
    try:
        call.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    call.close()
    raise AssertionError("this call waits for something")
