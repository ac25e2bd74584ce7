"""Workers: child processes of ours that work on their own for minutes or days, and never outlive their parent.

A worker leads a process group; borg, ssh and its other programs are in it, so that one signal ends all of them. When
the parent dies, by kill -9 too, the kernel tells the worker (PR_SET_PDEATHSIG), which then ends its group. Such a cut
is like a power failure, which every step of ours survives: there is one way to be interrupted, not two.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Thread

from appliance.errors import ApplianceError

_PR_SET_PDEATHSIG = 1
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4


@dataclass(frozen=True)
class Worker:
    """A running worker; `answer_fd` is a file in memory that takes its standard output, however long."""

    process: subprocess.Popen[bytes]
    answer_fd: int

    @property
    def pid(self) -> int:
        return self.process.pid

    def reap(self) -> tuple[int, bytes]:
        """The exit code (negative for a signal) and the answer of a worker; what still runs of its group ends first.

        Call it once.
        """
        self.kill()
        code = self.process.wait()
        with os.fdopen(self.answer_fd, "rb") as answer:
            answer.seek(0)
            return code, answer.read()

    def wait(self, seconds: float) -> None:
        """Give it at most `seconds` to be gone; one that waits for a dead disk takes longer, and nobody can help it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def kill(self) -> None:
        """End the worker and all that it started, now. Until it is reaped its group keeps its number."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def start_worker(argv: Sequence[str], env: Mapping[str, str]) -> Worker:
    """Start `argv`, which calls `die_with_parent` first; its standard error is ours."""
    answer = os.memfd_create("answer")
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=answer,
        env={**os.environ, **env},
        process_group=0,
    )
    return Worker(process, answer)


def die_with_parent(parent: int) -> None:
    """In a worker: end this process group when the process `parent` dies, or at SIGTERM. For the main thread only.

    A thread of its own hears of the signal: a handler runs in the main thread alone, and not before that has returned
    from a call to the system that it was just about to make, which may wait for minutes.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    Thread(target=_end_group_when_told, args=(heard,), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda number, frame: _end_group())
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before we asked
        _end_group()


def hand_on_no_powers() -> None:
    """In a child: what the unit of its parent may do (ambient capabilities) goes to no program that it starts."""
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)


def _prctl(option: int, *values: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, *values) != 0:
        raise ApplianceError(f"prctl: {os.strerror(ctypes.get_errno())}")


def _end_group_when_told(heard: int) -> None:
    while signal.SIGTERM not in os.read(heard, 64):
        pass
    _end_group()


def _end_group() -> None:
    os.killpg(0, signal.SIGKILL)
