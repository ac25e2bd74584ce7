"""The cycle of one service at one node: look, decide by the table, begin what it says, look again soon.

Long actions go on beside: the next look comes all the same, and an action that stops cancels one that opens. Standing
is changed by decisions alone; actions only change what is seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from dataclasses import replace
from functools import lru_cache

from appliance.clock import utc_seconds
from appliance.coordination.port import ServiceRecord as Voters
from appliance.errors import ApplianceError
from appliance.failover.act import perform, tie
from appliance.failover.adopted import note_adopted
from appliance.failover.claims import REQUEST_SECONDS_MAX, apply_record
from appliance.failover.context import ServiceContext
from appliance.failover.fsm.model import STOPPING, Action, Decision, Seen, State
from appliance.failover.fsm.row import WRITING
from appliance.failover.fsm.table import decide
from appliance.failover.observe import is_due, observe
from appliance.node.failover_status import ServiceStatus, save
from appliance.units import MINUTE

LOOKS_IN_A_LEASE = 30
"""While nothing happens. A change by an action, the voters or a document is looked at at once, a deadline in time."""
LOOKS_BY_STATE = {State.ACTIVE: 5, State.STANDBY: 15, State.GRACE: 300, State.PROMOTING: 100}
"""At rest there is less to see: one look for each renewal (`_left`) and one right after it, and some more by who
listens for a silence; what hangs or is down is found by asking it. The end of a grace is no deadline that comes by
itself, nor what brokers still lack to sign; and clients wait."""
LOOKS_IN_A_LEASE_MAX = 1500
"""When one thing follows the other, as in a takeover."""
SILENT_SECONDS = 60.0
"""After so long without an answer of a majority, nothing is told of who holds the service."""
PAUSED_AGAIN_SECONDS = 10 * MINUTE
"""A pause ends by itself within the hour; one that is asked for soon after another goes on."""
UNSERVED_AGAIN_SECONDS = 10 * MINUTE
"""Two nodes of which neither can start a service take it in turns."""
PROBES_EVERY_RENEWALS = 3
"""A service that answers is asked at each third renewal: a question wakes the service, and a share or a database starts
a process for it. One that was just started, or failed to answer, is asked at each."""
OPENING = frozenset({Action.START, Action.ADD_ADDRESS, Action.PROBE, Action.SERVE_COPY})
ADOPTING = "record a grant of the territory key"
PULLING = frozenset({Action.PULL})
"""It has the service's folder for itself, and who starts the service brings what is missing."""


class Keeper:
    """One service's cycle; `run` it until it is cancelled or the bundle names this node no more: the service is left as
    it is."""

    def __init__(self, ctx: ServiceContext) -> None:
        self.ctx = ctx
        self._tasks: dict[tuple[Action, ...], asyncio.Task[None]] = {}
        self._status: ServiceStatus | None = None
        self._row = ""
        self._spells: dict[str, tuple[float, float | None]] = {}
        self._began = ctx.node.clock.boottime()
        self._woken = asyncio.Event()
        self._failed = ""

    @property
    def holds(self) -> bool:
        """Whether this node is at work for the service, under a proof that stands or alone by its policy."""
        return self.ctx.standing.state in WRITING

    @property
    def serves(self) -> bool:
        """Whether clients are served here, as far as this node knows."""
        return self.ctx.standing.state in (State.ACTIVE, State.SUSPECT, State.ISOLATED_RW)

    @property
    def ready_seconds(self) -> float | None:
        """For how long this node, the home, could have had its service back from who serves it; None when it could
        not now."""
        ctx, standing = self.ctx, self.ctx.standing
        if not ctx.is_origin or standing.state is not State.STANDBY:
            return None
        cooled = standing.failed_at + ctx.node.timers.cooldown_seconds(standing.failures) if standing.failures else 0.0
        seconds = ctx.node.clock.boottime() - max(standing.since, cooled)
        return seconds if seconds >= 0 else None

    def wake(self) -> None:
        """Look at once: something has changed that this node's decisions hang on."""
        self._woken.set()

    async def run(self) -> None:
        try:
            await self._run()
        finally:
            # The next keeper of the service reads the state of this one: nothing of this cycle may go on beside it.
            tasks = [*self._tasks.values(), *([self.ctx.showing] if self.ctx.showing else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(self._watch()), group.create_task(self._probe())]
            while self.ctx.is_named:
                self._look_on()
                await self._wait()
            for task in beside:
                task.cancel()

    def _look_on(self) -> None:
        """A look that fails ends nothing else: what is not renewed meanwhile ends by its watchdog; a person is told."""
        failed = ""
        try:
            self.look()
        except (ApplianceError, OSError) as error:
            failed = str(error)
        if failed and failed != self._failed:
            with contextlib.suppress(ApplianceError, OSError):
                self.ctx.node.alarm(self.ctx.service, f"the running services cannot be examined: {failed}")
        self._failed = failed

    async def _wait(self) -> None:
        """Until something has happened, a deadline comes, or a while has passed."""
        loop, ttl = asyncio.get_running_loop(), self.ctx.node.timers.ttl
        soonest = loop.time() + ttl / LOOKS_IN_A_LEASE_MAX
        looks = LOOKS_BY_STATE.get(self.ctx.standing.state, LOOKS_IN_A_LEASE)
        timer = loop.call_later(min(ttl / looks, self._left()), self.wake)
        await self._woken.wait()
        timer.cancel()
        if (left := soonest - loop.time()) > 0:
            await asyncio.sleep(left)
        self._woken.clear()

    def _left(self) -> float:
        """Seconds until this node has to renew, to try that again or to begin to stop: what of these comes first."""
        ctx, timers = self.ctx, self.ctx.node.timers
        if ctx.proven is None:
            return math.inf
        lease, begun = ctx.proven.lease, ctx.last.get(Action.RENEW, 0.0)
        again = begun + timers.request if begun > lease.sent else 0.0
        moments = (timers.demote_at(lease.sent, lease.ttl_seconds), lease.sent + timers.renew, again)
        now = ctx.node.clock.boottime()
        return min((moment - now for moment in moments if moment > now), default=math.inf)

    def look(self) -> None:
        ctx = self.ctx
        with ctx.telling(ADOPTING):
            note_adopted(ctx)
        seen = observe(ctx)
        decision = decide(ctx.standing, seen, ctx.policy, ctx.node.timers, ctx.node.clock.boottime())
        if decision.standing.state is not ctx.standing.state:
            ctx.node.tell(ctx.service, seen.own_epoch, "state", state=str(decision.standing.state), row=decision.row)
            ctx.synced = False
            self.wake()  # the rows of a state are other ones, and clients may wait for the first of them
        ctx.standing = decision.standing
        if seen.local.writer or ctx.starting:
            self._tie(decision)
        self._begin(decision)
        self._show(seen, decision)

    def _tie(self, decision: Decision) -> None:
        """A deadline that the watchdog cannot be given is shown as trouble; what runs ends by the deadline that stands
        (`act._renew`)."""
        with self.ctx.telling(str(Action.ARM_WATCHDOG)):
            tie(self.ctx, decision)

    def _begin(self, decision: Decision) -> None:
        """Begin the actions of `decision` unless just those are under way."""
        if not decision.actions or ((running := self._tasks.get(decision.actions)) and not running.done()):
            return
        ends = PULLING if Action.START in decision.actions else frozenset()
        if set(STOPPING) & set(decision.actions):
            ends = OPENING
        for actions, task in self._tasks.items():
            if not set(actions).isdisjoint(ends):
                task.cancel()
        self._tasks[decision.actions] = asyncio.create_task(self._perform(decision))

    async def _perform(self, decision: Decision) -> None:
        if await perform(self.ctx, decision):
            self.wake()

    async def _watch(self) -> None:
        """Hear of changes at once.

        A holder reads by no row of the table, so each watch is preceded by a question: a program that goes on where
        another one stopped has heard nothing yet, and the store may have forgotten what came after the last that was
        heard, and would end each watch from there.
        """
        ctx = self.ctx
        while True:
            with contextlib.suppress(ApplianceError):
                asked = ctx.node.clock.boottime()
                record = await ctx.node.store.read(ctx.service, seconds_max=REQUEST_SECONDS_MAX)
                apply_record(ctx, record, asked)
                self.wake()
                await self._hear_from(ctx.record or record)
            await asyncio.sleep(ctx.node.timers.retry)

    async def _hear_from(self, seen: Voters) -> None:
        events = self.ctx.node.store.watch(seen)
        async with contextlib.aclosing(events):
            async for event in events:
                if isinstance(event, Voters) and event.revision > seen.revision:
                    apply_record(self.ctx, event, self.ctx.node.clock.boottime(), pushed=True)
                    self.wake()

    async def _probe(self) -> None:
        """Ask a service that runs whether it still answers."""
        ctx = self.ctx
        while True:
            if ctx.healthy and is_due(ctx, Action.PROBE, self._probe_every()):
                ctx.last[Action.PROBE] = ctx.node.clock.boottime()
                try:
                    await ctx.probe()
                except (ApplianceError, OSError):
                    ctx.healthy = False
                if not ctx.healthy:
                    self.wake()
            await asyncio.sleep(ctx.node.timers.renew)

    def _probe_every(self) -> float:
        ctx, renew = self.ctx, self.ctx.node.timers.renew
        answered = ctx.answered_at > 0 and ctx.answered_at >= ctx.started_at
        return PROBES_EVERY_RENEWALS * renew if answered else renew

    def _show(self, seen: Seen, decision: Decision) -> None:
        """Write the status that monitoring and `appliance failover status` read, when it changes. A row that is met for
        one look, as a renewal is, and changes nothing else, is left out."""
        status = self._told(seen, decision)
        passes = self._status is not None and replace(self._status, row=status.row, reason=status.reason) == status
        if status != self._status and (not passes or status.row == self._row):
            self._status = status
            save(self.ctx.node.run, status)
        if decision.actions != (Action.RENEW,):
            self._row = status.row

    def _told(self, seen: Seen, decision: Decision) -> ServiceStatus:
        ctx, now = self.ctx, self.ctx.node.clock.boottime()
        granted = ctx.node.documents.grants.get(ctx.service)
        writer, newest = (granted.writer, granted.epoch) if granted else ("", 0)
        heard = max(ctx.asked, ctx.proven.lease.sent if ctx.proven else 0.0)
        silent = now - heard > SILENT_SECONDS
        record = None if silent else seen.record
        vacant = record is not None and not record.holder and ctx.policy.others_write
        contested = self.holds and newest > seen.own_epoch
        if record and record.holder and writer:
            contested = contested or record.holder != writer
        intent = ctx.record.intent if ctx.record and not silent else None
        paused = intent is not None and intent.kind == "pause"
        unkept = ctx.standing.state is State.DIVERGED and seen.branch_unsaved
        elsewhere = record is not None and record.holder not in ("", ctx.node.name)
        unserved = str(Action.START) in ctx.trouble and not elsewhere
        return ServiceStatus(
            ctx.service,
            ctx.node.boot_id,
            str(ctx.standing.state),
            decision.row,
            decision.reason,
            seen.own_epoch,
            newest,
            writer,
            record.holder if record else None,
            _moment(ctx.record.owner.time) if record and ctx.record and ctx.record.owner else None,
            seen.copy.unfit or "",
            dict(ctx.trouble),
            vacant_since=ctx.vacant_since if vacant else None,
            unheard_since=max(heard, self._began) if silent else None,
            contested_since=self._spell("contested", contested, now),
            paused_since=self._spell("paused", paused, now, PAUSED_AGAIN_SECONDS),
            paused_by=intent.by if intent and paused else "",
            quarantined=seen.requests.quarantined,
            unkept_since=self._spell("unkept", unkept, now),
            unserved_since=self._spell("unserved", unserved, now, UNSERVED_AGAIN_SECONDS),
        )

    def _spell(self, name: str, lasts: bool, now: float, forgiven: float = 0.0) -> float | None:
        """Since when it has been so, as far as this program knows; None while it is not. A gap of `forgiven` seconds
        does not end it."""
        since, ended = self._spells.get(name, (now, now))
        if not lasts:
            self._spells[name] = since, now if ended is None else ended
            return None
        if ended is not None and now - ended > forgiven:
            since = now
        self._spells[name] = since, None
        return since


@lru_cache(64)
def _moment(text: str) -> float | None:
    """UTC seconds of a time that another node wrote; None for what is none. The same few are told with every look."""
    try:
        return utc_seconds(text)
    except ValueError:
        return None
