"""Send no faster than the town hall can spare: one pace for all the peers of a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

BURST_SECONDS = 0.25
"""The seconds' worth of bytes that may go at once, so that small answers are never held up."""


class RateLimit:
    """A bucket that `bytes_per_second` fills; a sender takes from it, and waits while it is empty."""

    def __init__(
        self,
        bytes_per_second: float,
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = bytes_per_second
        self._now = now
        self._wait = wait
        self._lock = threading.Lock()
        self._free_at = now()

    def take(self, size: int) -> None:
        """Wait until `size` more bytes may go. Threads share the rate: each adds its turn to the end of the queue."""
        with self._lock:
            now = self._now()
            self._free_at = max(self._free_at, now - BURST_SECONDS) + size / self._rate
            wait = self._free_at - now
        if wait > 0:
            self._wait(wait)


def rate_limit_of(bits_per_second_max: int) -> RateLimit | None:
    """The pace for a declared limit; None when there is none."""
    return RateLimit(bits_per_second_max / 8) if bits_per_second_max else None


def at_once(size: int) -> None:
    """No pace: send."""
