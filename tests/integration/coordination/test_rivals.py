"""Two nodes that want one service for ever, over three voters that are frozen, killed and cut down to a minority.

Invariant: while one may believe by its own clock that it holds, the other does not; and no lease ends before its time.
CI plays one run of the day's seed, `make soak SUITE=rivals N=100` as many as are asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.coordination.etcd import Etcd
from appliance.coordination.keys import new_lease
from appliance.coordination.port import Claim, Lease, Lost, ServiceRecord, Taken
from appliance.errors import ApplianceError, Unreachable
from appliance.voter.etcd_admin import EtcdAdmin
from appliance_lab.processes.etcd import EtcdProcess, EtcdProcesses
from tests.integration.coordination.worlds import HEARTBEAT_MILLISECONDS, LATE_SECONDS_MAX, TIME, TTL

SERVICE = "docs-a"
FAULTS = 3
RENEW_SECONDS = 0.2
DAY_SEED = int(os.environ.get("APPLIANCE_TEST_SEED", "1"))
RUNS = int(os.environ.get("APPLIANCE_SOAK_RUNS") or 1)


@dataclass
class Span:
    """A time within which `node` may believe that it holds: from the answer to the end of the last proven lease."""

    node: str
    revision: int
    begins: float
    ends: float


@dataclass
class Rival:
    node: str
    client: Etcd
    draw: random.Random
    clock: SystemClock = field(default_factory=SystemClock)
    spans: list[Span] = field(default_factory=list)
    early: list[str] = field(default_factory=list)

    async def live(self) -> None:
        while True:
            with contextlib.suppress(Unreachable, Taken):
                record = await self.client.read(SERVICE, seconds_max=1.0)
                if record.holder is None:
                    await self._hold(await self._acquire(record))
                else:
                    await self._wait_gone(record)
            await asyncio.sleep(0)

    async def _acquire(self, record: ServiceRecord) -> Lease:
        lease = new_lease(self.node, self.draw.getrandbits(32))
        claim = Claim(SERVICE, self.node, "boot-1", lease, record.owned, TTL, "rivalry", TIME)
        return await self.client.acquire(claim, seconds_max=1.0)

    async def _wait_gone(self, record: ServiceRecord) -> None:
        async with contextlib.aclosing(self.client.watch(record, seconds_max=2.0)) as events:
            async for event in events:
                if isinstance(event, ServiceRecord) and event.holder is None:
                    return

    async def _hold(self, lease: Lease) -> None:
        """Renew until it is too late, or until this node falls silent as a hung one would."""
        span = Span(self.node, lease.revision, self.clock.boottime(), lease.ends)
        self.spans.append(span)
        silent_after = self.draw.randrange(5, 40)
        while (left := lease.ends - self.clock.boottime()) > 0:
            silent_after -= 1
            with contextlib.suppress(Unreachable):
                if silent_after > 0:
                    try:
                        lease = await self.client.renew(lease, seconds_max=min(1.0, left))
                    except Lost as lost:
                        if (missing := lease.ends - self.clock.boottime()) > 0:
                            self.early.append(f"{self.node} at {lease.revision}: {lost.what} {missing:.2f} s early")
                        return
                    span.ends = lease.ends
            await asyncio.sleep(RENEW_SECONDS)


@dataclass
class Nemesis:
    voters: list[EtcdProcess]
    draw: random.Random
    done: list[str] = field(default_factory=list)

    async def freeze_one(self) -> None:
        await self._freeze([self.draw.choice(self.voters)])

    async def freeze_leader(self) -> None:
        await self._freeze([await self._leader()])

    async def freeze_all(self) -> None:
        await self._freeze(self.voters)

    async def kill_leader(self) -> None:
        await self._kill([await self._leader()])

    async def kill_two(self) -> None:
        await self._kill(self.draw.sample(self.voters, 2))

    async def _freeze(self, voters: list[EtcdProcess]) -> None:
        for voter in voters:
            voter.freeze()
        await asyncio.sleep(self.draw.uniform(0.3, 2 * TTL))  # the fault itself
        for voter in voters:
            voter.thaw()

    async def _kill(self, voters: list[EtcdProcess]) -> None:
        for voter in voters:
            voter.kill()
        await asyncio.sleep(self.draw.uniform(0.3, 2 * TTL))
        for voter in voters:
            voter.start()

    async def _leader(self) -> EtcdProcess:
        for voter in self.voters:
            admin = EtcdAdmin(voter.address)
            try:
                status = await admin.status(seconds_max=1.0)
                if status.leader == status.member:
                    return voter
            except ApplianceError:
                continue
            finally:
                await admin.close()
        return self.voters[0]

    async def rage(self) -> None:
        faults = (self.freeze_one, self.freeze_leader, self.freeze_all, self.kill_leader, self.kill_two)
        for fault in self.draw.choices(faults, k=FAULTS):
            self.done.append(fault.__name__)
            await fault()
            await asyncio.sleep(self.draw.uniform(0.0, TTL))


@contextlib.asynccontextmanager
async def living(rivals: list[Rival]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(rival.live()) for rival in rivals]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(outcome, asyncio.CancelledError), outcome
        for rival in rivals:
            await rival.client.close()


async def play(processes: EtcdProcesses, draw: random.Random) -> tuple[list[Rival], Nemesis]:
    rivals = [
        Rival(name, Etcd(processes.addresses, SystemClock()), random.Random(draw.random()))
        for name in ("commune-a", "commune-b")
    ]
    nemesis = Nemesis(processes.voters, draw)
    async with living(rivals):
        await nemesis.rage()
        # It ends by healing: somebody holds again, under a revision that nobody had before.
        before = sum(len(rival.spans) for rival in rivals)
        async with asyncio.timeout(LATE_SECONDS_MAX + 20 * TTL):
            while sum(len(rival.spans) for rival in rivals) == before:
                await asyncio.sleep(RENEW_SECONDS)
    return rivals, nemesis


@pytest.mark.parametrize("drawn", [f"{DAY_SEED}-{number}" for number in range(RUNS)])
def test_never_two_of_the_rivals_may_believe_to_hold(tmp_path: Path, drawn: str) -> None:
    with EtcdProcesses(tmp_path, count=3, heartbeat_milliseconds=HEARTBEAT_MILLISECONDS) as processes:
        rivals, nemesis = asyncio.run(play(processes, random.Random(drawn)))
    spans = sorted((span for rival in rivals for span in rival.spans), key=lambda span: span.revision)
    told = f"{drawn}: {nemesis.done}"
    overlaps = [
        (one, other)
        for one, other in combinations(spans, 2)
        if one.node != other.node and max(one.begins, other.begins) < min(one.ends, other.ends)
    ]
    assert overlaps == [], told
    assert [early for rival in rivals for early in rival.early] == [], told
    assert [span.begins for span in spans] == sorted(span.begins for span in spans), "revisions follow time"
    assert len(spans) > 1, f"nothing happened: {told}"
