"""A program at a PC that saves one file after the other, each again until it is taken: what moves are to its people."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise

from appliance.clock import SystemClock
from appliance.errors import ApplianceError
from appliance_lab.hosts.pc import Pc

GIVES_UP = ("--timeout", "2")
"""The limit of one try, which then starts over."""


@dataclass(eq=False)
class Saving(threading.Thread):
    """`taken`: when each file was, by CLOCK_BOOTTIME."""

    pc: Pc
    share: str
    every_seconds: float = 0.0
    taken: list[float] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)  # a caller that fails does not wait for it
        self.pc = replace(self.pc, options=GIVES_UP)

    def run(self) -> None:
        while not self.ended.wait(self.every_seconds):
            with suppress(ApplianceError):
                number = len(self.taken)
                self.pc.put(self.share, f"saved-{number}.txt", f"{number}\n")
                self.taken.append(SystemClock().boottime())

    def longest_pause(self, since: float) -> float:
        """Seconds between two files that were taken, the later one after `since`."""
        return max((later - earlier for earlier, later in pairwise(self.taken) if later > since), default=0.0)


@contextmanager
def saving(pc: Pc, share: str, every_seconds: float = 0.0) -> Iterator[Saving]:
    it = Saving(pc, share, every_seconds)
    it.start()
    try:
        yield it
    finally:
        it.ended.set()
        it.join()
