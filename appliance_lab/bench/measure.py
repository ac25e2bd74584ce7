"""The cost of a job: CPU seconds of every process it starts, on all hosts, and seconds on the clock.

The job does its work in processes; the waiting of this one counts for nobody. The kernel adds a process's CPU to the
process that waited for it, so the hosts' sshds are started for one job and stopped after it: the CPU of their sessions,
vaults and borgs is then ours to read. The cost of starting and stopping them is measured by itself, in each round, and
taken off both sides.
"""

from __future__ import annotations

import contextlib
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.units import KIB
from appliance_lab.processes.node import ProcessNode

REAP_SECONDS_MAX = 10.0
LOOK_SECONDS = 0.01


@dataclass(frozen=True)
class Cost:
    cpu_seconds: float
    wall_seconds: float

    def less(self, idle: Cost) -> Cost:
        """Without what the hosts cost while nothing is asked of them; the clock only ran for the job itself."""
        return Cost(self.cpu_seconds - idle.cpu_seconds, self.wall_seconds)


def cost(hosts: Sequence[ProcessNode], job: Callable[[], object]) -> Cost:
    """Do `job` while the sshds of `hosts` run, and say what it cost."""
    os.sync()  # or one side would pay for writing back what the other left
    before = _cpu_of_ended_processes()
    with listening(hosts):
        started = time.monotonic()
        job()
        wall = time.monotonic() - started
        for host in hosts:
            _wait_for_sessions(host)
    return Cost(_cpu_of_ended_processes() - before, wall)


def wall(job: Callable[[], object]) -> float:
    """Seconds on the clock for a job that needs no host."""
    os.sync()
    started = time.monotonic()
    job()
    return time.monotonic() - started


@contextlib.contextmanager
def listening(hosts: Sequence[ProcessNode]) -> Iterator[None]:
    """The sshds of `hosts`, for as long as the block takes."""
    try:
        for host in hosts:
            host.start_sshd()
        yield
    finally:
        for host in hosts:
            host.stop()


def _cpu_of_ended_processes() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _wait_for_sessions(host: ProcessNode) -> None:
    """A session that outlives its sshd is nobody's child any more, and its CPU would be lost."""
    deadline = time.monotonic() + REAP_SECONDS_MAX
    while any(children(process.pid) for process in host.processes):
        if time.monotonic() > deadline:
            raise ApplianceError(f"a session at {host.name} did not end.", where=str(host.layout.run))
        time.sleep(LOOK_SECONDS)


def children(pid: int) -> tuple[int, ...]:
    """The processes that process `pid` started and that are still there."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, task.read_text().split())
    return tuple(found)


@dataclass
class MemoryWatch:
    """Notes the highest resident memory, in bytes, of the processes whose command line has all `words` in it."""

    words: tuple[str, ...]
    peaks: dict[int, int] = field(default_factory=dict)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """The kernel keeps the highest value itself, so only the last look before a process ends must be fresh."""
        stop = threading.Event()
        watcher = threading.Thread(target=self._look_until, args=(stop,))
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()

    def _look_until(self, stop: threading.Event) -> None:
        found: set[int] = set()
        while not stop.wait(LOOK_SECONDS):
            found |= {pid for pid in _processes() if pid not in found and self._concerns(pid)}
            for pid in found:
                if peak := status_bytes(pid, "VmHWM"):
                    self.peaks[pid] = peak

    def _concerns(self, pid: int) -> bool:
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return False
        return all(word in line for word in self.words)


def _processes() -> tuple[int, ...]:
    return tuple(int(name) for name in os.listdir("/proc") if name.isdigit())


def status_bytes(pid: int, name: str, file: str = "status") -> int:
    """A size in bytes from what the kernel tells of a process (VmHWM, VmRSS; Pss in smaps_rollup); 0 when the process
    is gone."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * KIB for line in lines if line.startswith(f"{name}:")), 0)
