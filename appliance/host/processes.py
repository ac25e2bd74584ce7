"""Processes of this machine, found by their command line and ended by their number."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
LOOK_EVERY_SECONDS = 0.02


@dataclass(frozen=True)
class Process:
    """A running process; `started` (clock ticks since boot) tells it from a later one with the same number."""

    pid: int
    started: int
    argv: tuple[str, ...] = ()

    def alive(self) -> bool:
        """Whether this very process still runs; one that only waits to be reaped does not."""
        return _started(self.pid) == self.started

    def signal(self, number: int) -> None:
        """Send the signal `number`, unless the process has ended."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait_end(self, seconds_max: float) -> bool:
        """Whether it has ended within `seconds_max`."""
        deadline = time.monotonic() + seconds_max
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_EVERY_SECONDS)
        return True

    def end(self, seconds_max: float = 5.0) -> bool:
        """Kill it; whether it has gone within `seconds_max` (one that waits for a dead disk stays)."""
        self.signal(signal.SIGKILL)
        return self.wait_end(seconds_max)


def processes_of(program: str) -> Iterator[Process]:
    """The processes that were started as `program`, by its name alone."""
    return (it for it in _all() if os.path.basename(it.argv[0]) == program)


def processes_running(script: str) -> Iterator[Process]:
    """The interpreters that run a file called `script`, wherever it lies and whichever interpreter it is."""
    return (it for it in _all() if any(os.path.basename(word) == script for word in it.argv[1:4]))


def processes_given(words: Collection[str]) -> Iterator[Process]:
    """The processes that were started with one of `words`."""
    return (it for it in _all() if not set(words).isdisjoint(it.argv[1:]))


def processes_working_in(folder: Path) -> Iterator[Process]:
    """The processes whose working folder is `folder`, removed or not, as far as this account may know."""
    for it in _all():
        with contextlib.suppress(OSError):
            if os.readlink(PROC / str(it.pid) / "cwd").removesuffix(" (deleted)") == str(folder):
                yield it


def process(pid: int) -> Process | None:
    """The process `pid`; None when it has ended."""
    started = _started(pid)
    return None if started is None else Process(pid, started)


def is_first(pid: int) -> bool:
    """Whether `pid` is PID 1 of a namespace of its own: when it ends, the kernel ends all that is in there."""
    try:
        text = (PROC / str(pid) / "status").read_text(errors="replace")
    except OSError:
        return False
    numbers = next((line.split()[1:] for line in text.splitlines() if line.startswith("NSpid:")), [])
    return len(numbers) > 1 and numbers[-1] == "1"


def _all() -> Iterator[Process]:
    """Every process that has a command line; kernel threads and what waits to be reaped have none."""
    for folder in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")[:-1]
            if words and (started := _started(int(folder.name))):
                yield Process(int(folder.name), started, tuple(map(os.fsdecode, words)))


def _started(pid: int) -> int | None:
    """Field 22 of its stat file; None when it has ended or is a zombie."""
    try:
        with open(f"{PROC}/{pid}/stat", errors="surrogateescape") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[19]) if fields[0] not in "ZX" else None
