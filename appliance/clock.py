"""The clock port: wall time for people, boot time for deadlines. Decisions take these values as arguments."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

SKEW_SECONDS_MAX = 600
"""How far in the future a moment is still believed: clocks differ a little, and one may be set back a little."""


class Clock(Protocol):
    """The clock for code that observes or acts; pure code gets the answers, never the clock."""

    def now(self) -> float:
        """Seconds since 1970 in UTC; may jump, so it dates things and never orders or expires them."""
        ...

    def boottime(self) -> float:
        """Seconds since the machine started, suspend included (CLOCK_BOOTTIME); never goes back before a reboot."""
        ...

    def boot_id(self) -> str:
        """An id that changes at each start of the machine."""
        ...


class SystemClock:
    def now(self) -> float:
        return time.time()

    def boottime(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()


class SimulatedClock:
    """A clock that moves only when told; wall time can be set apart, as a wrong NTP answer would."""

    def __init__(self, now: float = 1_800_000_000.0, boottime: float = 1000.0) -> None:
        self._now = now
        self._boottime = boottime
        self._boots = 1

    def now(self) -> float:
        return self._now

    def boottime(self) -> float:
        return self._boottime

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass for both clocks."""
        self._now += seconds
        self._boottime += seconds

    def jump_wall(self, seconds: float) -> None:
        """Set the wall clock off by `seconds`, forward or back."""
        self._now += seconds

    def boot_id(self) -> str:
        return f"boot-{self._boots}"

    def reboot(self) -> None:
        self._boottime = 0.0
        self._boots += 1


def utc_text(seconds: float) -> str:
    """`seconds` since 1970 as stored everywhere: 2026-11-25T08:00:00Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc_seconds(text: str) -> float:
    """The inverse of `utc_text`; raise ValueError when `text` has another form."""
    seconds = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    # strptime also takes 2026-1-5T8:0:0Z; a moment in a signed document is written in one way only.
    if utc_text(seconds) != text:
        raise ValueError(f"time {text!r} is not written as 2026-01-05T08:00:00Z")
    return seconds
