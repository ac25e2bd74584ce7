"""The cycle: look, decide, begin what was decided, sleep until something happens. Nothing in it takes long.

Work is done by workers, so the agent answers systemd's watchdog, a signal and a peer that returns while a push of days
goes on. The bundle is read again in each cycle: what the territory signed last is in force at once.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
from typing import Any

from appliance.agent import memory as memories
from appliance.agent.act import failed
from appliance.agent.decide import decide
from appliance.agent.decisions import Wait, Work
from appliance.agent.intervals import Intervals
from appliance.agent.memory import Memory, Outcome
from appliance.agent.node_report import measures
from appliance.agent.observe import Observer, agent_lock, now_of
from appliance.agent.worker_pool import WorkerPool
from appliance.errors import ApplianceError
from appliance.host.notify import WATCHDOG, notify, watchdog_seconds
from appliance.host.wake import Waiter, Woken
from appliance.monitor import measures_file
from appliance.monitor.view import Now, Running, View
from appliance.node.handle import Node, open_node

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
SIGNALS = STOP_SIGNALS | {signal.SIGHUP}
"""SIGHUP only wakes the agent: it looks at once."""


class Loop:
    """One agent's life, from its first look to the signal that ends it."""

    def __init__(self, node: Node, waiter: Waiter, intervals: Intervals) -> None:
        self._node = node
        self._waiter = waiter
        self._intervals = intervals
        self._observer = Observer()
        self._pool = WorkerPool(node.layout.root, waiter)
        self._path = memories.path_of(node.layout)
        self._alive_within = (watchdog_seconds() or math.inf) / 2
        self._trouble = ""
        self._measured = -math.inf
        self._now = now_of(node)
        # The work of a killed agent ended with it; earlier failures still count.
        self._remember(memories.load(self._path))

    def run(self) -> None:
        """Cycle until a stop signal comes."""
        woken = Woken()
        while not STOP_SIGNALS.intersection(woken.signals):
            self._settle(woken)
            woken = self._waiter.wait(min(self._cycle().seconds, self._alive_within))
        self._settle(woken)

    def finish(self, grace_seconds: float) -> tuple[Running, ...]:
        """Begin nothing more; what runs may go on for `grace_seconds` or until another signal. Say what was cut."""
        clock = self._node.clock
        deadline = clock.boottime() + grace_seconds
        while self._pool.running and (left := deadline - clock.boottime()) > 0:
            woken = self._waiter.wait(left)
            self._settle(woken)
            if STOP_SIGNALS.intersection(woken.signals):
                break
        abandoned = self._pool.kill_all()
        self._remember(Memory(self._memory.attempts))
        return abandoned

    def _cycle(self) -> Wait:
        """Look, decide, begin; then how long to wait."""
        notify(WATCHDOG)
        try:
            self._node = open_node(self._node.layout.root, self._node.clock)
            now = self._now = now_of(self._node)
            view = self._observer.look(self._node, now, self._memory)
            os.utime(agent_lock(self._node.layout))  # tells `status` that the agent does not only hold its lock
        except (ApplianceError, OSError, ValueError) as error:
            return self._cannot_look(str(error))
        self._trouble = ""
        self._pool.kill_hanging(now)
        self._measure(now)
        *works, wait = decide(view, now, self._intervals)
        for work in works:
            assert isinstance(work, Work)
            self._begin(work, view, now)
        assert isinstance(wait, Wait)
        return wait

    def _measure(self, now: Now) -> None:
        """Write down what is measured, each minute or so: a thorough look counts files. Failing, it stops nothing."""
        moment = self._node.clock.boottime()
        if moment - self._measured < self._intervals.measure_seconds:
            return
        self._measured = moment
        with contextlib.suppress(OSError, ApplianceError):
            measures_file.save(self._node.layout.measures, measures(self._node, now, self._memory, self._observer))

    def _cannot_look(self, sentence: str) -> Wait:
        """A bundle that cannot be read, a full disk: nothing can be decided, and it may pass."""
        if sentence != self._trouble:
            self._trouble = sentence
            self._node.journal.note("agent-cannot-look", error=sentence)
        return Wait(self._intervals.look_seconds, sentence)

    def _begin(self, work: Work, view: View, now: Now) -> None:
        newest = next((it.newest.name for it in view.written if it.service == work.service and it.newest), "")
        running = Running(work.kind, work.service, work.concerned, now, newest)
        self._node.journal.note("work-begun", kind=work.kind, service=work.service, reason=work.reason)
        self._remember(self._memory.began(running))
        try:
            self._pool.start(work, running)
        except OSError as error:
            self._ended(running, failed(ApplianceError(f"no worker could be started: {error}.")), now)

    def _settle(self, woken: Woken) -> None:
        """Remember how the workers that ended did."""
        if woken.ended:
            with contextlib.suppress(OSError, ApplianceError):  # a full disk stops the ageing clock, not the agent
                self._now = now_of(self._node)
        for running, outcome in self._pool.reap(woken.ended):
            self._ended(running, outcome, self._now)

    def _ended(self, running: Running, outcome: Outcome, now: Now) -> None:
        told: dict[str, Any] = {"seconds": now.age - running.since.age, **outcome.figures}
        if outcome.error:
            told |= {"error": outcome.error, "remedy": outcome.remedy}
        self._node.journal.note("work-ended", kind=running.kind, service=running.service, **told)
        self._remember(self._memory.ended(running, outcome, now))

    def _remember(self, memory: Memory) -> None:
        """Keep what is remembered, at least until the next start where the disk is full."""
        self._memory = memory
        with contextlib.suppress(OSError, ApplianceError):
            memories.save(self._path, memory)
