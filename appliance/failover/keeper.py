"""The cycle of one service at one node: look, decide by the table, begin what it says, look again soon.

What takes time goes on beside: the next look comes all the same, and what stops cancels what opens. Standing is changed
by decisions alone; actions only change what is seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math

from appliance.coordination.port import State as Voters
from appliance.errors import ApplianceError
from appliance.failover.act import hear, perform, tie
from appliance.failover.model import STOPPING, Action, Decision, Seen, State
from appliance.failover.observe import is_due, observe
from appliance.failover.row import WRITING
from appliance.failover.situation import Situation
from appliance.failover.table import decide

LOOKS_IN_A_LEASE = 30
"""While nothing happens. What an action or the voters changed is looked at at once, a deadline when it comes."""
LOOKS_IN_A_LEASE_MAX = 300
OPENING = frozenset({Action.START, Action.ADD_ADDRESS, Action.PROBE, Action.SERVE_COPY})


class Keeper:
    """One service's cycle; `run` it until it is cancelled, which leaves the service as it is."""

    def __init__(self, it: Situation) -> None:
        self.it = it
        self._tasks: dict[tuple[Action, ...], asyncio.Task[None]] = {}
        self._shown = ""
        self._woken = asyncio.Event()

    @property
    def holds(self) -> bool:
        """Whether this node is at work for the service, under a proof that stands or alone by its policy."""
        return self.it.standing.state in WRITING

    @property
    def serves(self) -> bool:
        """Whether clients are served here, as far as this node knows."""
        return self.it.standing.state in (State.ACTIVE, State.SUSPECT, State.ISOLATED_RW)

    @property
    def ready_seconds(self) -> float | None:
        """For how long this node, the home, could have had its service back from who serves it; None when it could
        not now."""
        it, standing = self.it, self.it.standing
        if not it.home or standing.state is not State.STANDBY:
            return None
        cooled = standing.failed_at + it.site.timers.cooldown_seconds(standing.failures) if standing.failures else 0.0
        seconds = it.site.clock.boottime() - max(standing.since, cooled)
        return seconds if seconds >= 0 else None

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            group.create_task(self._probe())
            while True:
                self.look()
                await self._wait()

    async def _wait(self) -> None:
        """Until something has happened, a deadline comes, or a while has passed."""
        ttl = self.it.site.timers.ttl
        await asyncio.sleep(ttl / LOOKS_IN_A_LEASE_MAX)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(ttl / LOOKS_IN_A_LEASE, self._left())):
                await self._woken.wait()
        self._woken.clear()

    def _left(self) -> float:
        """Seconds until this node must begin to stop, while that lies ahead."""
        it = self.it
        if it.lease is None:
            return math.inf
        holding = it.lease.holding
        left = it.site.timers.demote_at(holding.sent, holding.ttl_seconds) - it.site.clock.boottime()
        return left if left > 0 else math.inf

    def look(self) -> None:
        it = self.it
        seen = observe(it)
        decision = decide(it.standing, seen, it.policy, it.site.timers, it.site.clock.boottime())
        if decision.standing.state is not it.standing.state:
            it.site.tell(it.service, seen.own_epoch, "state", state=str(decision.standing.state), row=decision.row)
            it.synced = False
        it.standing = decision.standing
        if seen.local.writer:
            tie(it, decision)
        self._begin(decision)
        self._show(seen, decision)

    def _begin(self, decision: Decision) -> None:
        """Begin the actions of `decision` unless just those are under way."""
        if not decision.actions or ((running := self._tasks.get(decision.actions)) and not running.done()):
            return
        if set(STOPPING) & set(decision.actions):
            for actions, task in self._tasks.items():
                if OPENING & set(actions):
                    task.cancel()
        self._tasks[decision.actions] = asyncio.create_task(self._perform(decision))

    async def _perform(self, decision: Decision) -> None:
        if await perform(self.it, decision):
            self._woken.set()

    async def _watch(self) -> None:
        """Hear of changes at once; reading from time to time is the table's business."""
        it = self.it
        while True:
            if it.state is not None:
                with contextlib.suppress(ApplianceError):
                    await self._hear_from(it.state)
            await asyncio.sleep(it.site.timers.retry)

    async def _hear_from(self, seen: Voters) -> None:
        events = self.it.site.store.watch(seen)
        async with contextlib.aclosing(events):
            async for event in events:
                if isinstance(event, Voters) and event.revision > seen.revision:
                    hear(self.it, event, self.it.site.clock.boottime())
                    self._woken.set()

    async def _probe(self) -> None:
        """Ask a service that runs whether it still answers."""
        it = self.it
        while True:
            if it.healthy and is_due(it, Action.PROBE, it.site.timers.renew):
                it.last[Action.PROBE] = it.site.clock.boottime()
                it.healthy = await it.site.services.probe(it.service)
            await asyncio.sleep(it.site.timers.renew)

    def _show(self, seen: Seen, decision: Decision) -> None:
        """What `appliance failover status` tells, rewritten when it changes."""
        it = self.it
        record, granted = seen.record, it.site.papers.grants.get(it.service)
        told = {
            "service": it.service,
            "state": str(it.standing.state),
            "row": decision.row,
            "reason": decision.reason,
            "epoch": seen.own_epoch,
            "newest_epoch": granted.epoch if granted else 0,
            "writer": granted.writer if granted else "",
            "holder": record.holder if record else None,
            "fit": seen.copy.unfit or "",
            "trouble": dict(it.trouble),
        }
        if (text := json.dumps(told, ensure_ascii=False)) != self._shown:
            self._shown = text
            path = it.site.run / f"{it.service}.json"
            new = path.with_name(f".{path.name}.new")
            with contextlib.suppress(OSError):
                new.write_text(text)
                new.rename(path)
