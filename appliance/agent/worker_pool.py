"""The workers that are at work: started from decisions, watched, reaped with their outcome, ended when it is time."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from appliance.agent.act import failed
from appliance.agent.decisions import Work
from appliance.agent.memory import Outcome
from appliance.agent.work import command_line, environment, read_outcome
from appliance.errors import ApplianceError
from appliance.host.children import Worker, start_worker
from appliance.host.wake import Waiter
from appliance.monitor.view import Now, Running
from appliance.units import DAY, HOUR

_SECONDS_MAX = {"backup": 8 * DAY, "push": 8 * DAY, "replicate": 8 * DAY}
_OTHERS_SECONDS_MAX = 12 * HOUR
"""A work that takes longer hangs (on a disk, a network file system) and would keep its service waiting for ever."""
_GONE_SECONDS_MAX = 5.0


class WorkerPool:
    def __init__(self, state: Path, waiter: Waiter) -> None:
        self._state = state
        self._waiter = waiter
        self._workers: dict[int, tuple[Running, Worker]] = {}
        self._hanging: set[int] = set()

    @property
    def running(self) -> tuple[Running, ...]:
        return tuple(running for running, _ in self._workers.values())

    def start(self, work: Work, running: Running) -> None:
        """Begin `work`, known as `running`; the waiter wakes when it has ended."""
        worker = start_worker(command_line(os.getpid(), self._state, work), environment())
        self._waiter.watch(worker.pid)
        self._workers[worker.pid] = (running, worker)

    def reap(self, pids: Iterable[int]) -> tuple[tuple[Running, Outcome], ...]:
        """How the workers `pids`, which have ended, did."""
        ended = []
        for pid in pids:
            running, worker = self._workers.pop(pid)
            outcome = read_outcome(*worker.reap())
            if pid in self._hanging:
                self._hanging.remove(pid)
                outcome = failed(ApplianceError("it did not end in time and was stopped.", remedy="It is retried."))
            ended.append((running, outcome))
        return tuple(ended)

    def kill_hanging(self, now: Now) -> None:
        """End the workers that take far too long; they are reaped like the others, once the kernel lets go of them."""
        for pid, (running, worker) in self._workers.items():
            if pid not in self._hanging and _hangs(running, now):
                self._hanging.add(pid)
                worker.kill()

    def kill_all(self) -> tuple[Running, ...]:
        """End every worker at once, as a power failure would; say which."""
        abandoned = self.running
        for _, worker in self._workers.values():
            worker.kill()
        for _, worker in self._workers.values():
            worker.wait(_GONE_SECONDS_MAX)
        self._workers.clear()
        return abandoned


def _hangs(running: Running, now: Now) -> bool:
    return now.age - running.since.age > _SECONDS_MAX.get(running.kind, _OTHERS_SECONDS_MAX)
