"""Sleep until something happens: a while has passed, a signal came, a child ended, somebody set the clock.

The while is counted by CLOCK_BOOTTIME, so a machine that wakes from suspend is on time, and no wrong wall clock can
stretch or shorten it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import time
from collections.abc import Collection
from dataclasses import dataclass
from types import FrameType
from typing import Self

_FAR_SECONDS = 2.0**33  # in the year 2242; the timer is only there to be cancelled when the clock is set


@dataclass(frozen=True)
class Woken:
    """Why a sleep ended; nothing is set when its time had passed."""

    signals: tuple[signal.Signals, ...] = ()
    ended: tuple[int, ...] = ()
    """Process ids of watched children that ended."""
    clock_set: bool = False


class Waiter:
    """Takes over `signals` of this process until it is closed: they wake `wait` and do nothing else."""

    def __init__(self, signals: Collection[signal.Signals]) -> None:
        self._selector = selectors.DefaultSelector()
        self._timer = os.timerfd_create(time.CLOCK_BOOTTIME, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)
        self._clock = os.timerfd_create(time.CLOCK_REALTIME, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)
        self._wakeup, self._signalled = socket.socketpair()
        for end in (self._wakeup, self._signalled):
            end.setblocking(False)
        for fd in (self._timer, self._clock, self._wakeup.fileno()):
            self._selector.register(fd, selectors.EVENT_READ)
        self._children: dict[int, int] = {}
        self._old_wakeup = signal.set_wakeup_fd(self._signalled.fileno(), warn_on_full_buffer=False)
        self._old_handlers = {number: signal.signal(number, _nothing) for number in signals}
        self._watch_clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        self._selector.close()
        for fd in (self._timer, self._clock, *self._children):
            os.close(fd)
        self._wakeup.close()
        self._signalled.close()

    def watch(self, pid: int) -> None:
        """Wake once the child `pid` has ended; the caller reaps it."""
        fd = os.pidfd_open(pid)
        self._children[fd] = pid
        self._selector.register(fd, selectors.EVENT_READ)

    def wait(self, seconds: float) -> Woken:
        """Sleep for at most `seconds`, not at all when they are 0 or fewer; return at the first thing that happens."""
        if seconds > 0:
            os.timerfd_settime(self._timer, initial=seconds)
            ready = self._selector.select()
        else:
            ready = self._selector.select(0)
        fds = {key.fd for key, _ in ready}
        if self._timer in fds:
            with contextlib.suppress(BlockingIOError):
                os.read(self._timer, 8)
        return Woken(
            signals=self._received() if self._wakeup.fileno() in fds else (),
            ended=tuple(self._forget(fd) for fd in fds & self._children.keys()),
            clock_set=self._clock in fds and self._watch_clock(),
        )

    def _received(self) -> tuple[signal.Signals, ...]:
        return tuple(signal.Signals(number) for number in self._wakeup.recv(4096))

    def _forget(self, fd: int) -> int:
        self._selector.unregister(fd)
        os.close(fd)
        return self._children.pop(fd)

    def _watch_clock(self) -> bool:
        """Arm the timer that ends when the clock is set; say whether it just was."""
        was_set = False
        try:
            os.read(self._clock, 8)
        except BlockingIOError:
            pass
        except OSError:  # ECANCELED
            was_set = True
        flags = os.TFD_TIMER_ABSTIME | os.TFD_TIMER_CANCEL_ON_SET
        os.timerfd_settime(self._clock, flags=flags, initial=_FAR_SECONDS)
        return was_set


def _nothing(number: int, frame: FrameType | None) -> None:
    """A handler must be there for the signal to be written to the wake-up descriptor instead of ending the process."""
