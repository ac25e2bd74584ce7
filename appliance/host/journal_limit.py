"""Lines of a journal that no caller can fill: what comes too often is counted, and written down with its number.

A caller whose refusals are lines as often as it asks pushes out of a bounded journal what tells of it.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from appliance.host.files import locked

SECONDS = 60.0


@dataclass
class OncePerMinute:
    """One line a minute of a program, however often it is asked."""

    _count: int = 0
    _next: float = -math.inf
    _lock: Lock = field(default_factory=Lock)

    def tries(self, now: float) -> int:
        """How many are to be written down now, this one included; 0 within a minute of the last line. `now` by a clock
        that only goes on."""
        with self._lock:
            self._count += 1
            if now < self._next:
                return 0
            counted, self._count, self._next = self._count, 0, now + SECONDS
            return counted


@dataclass(frozen=True)
class Counted:
    """The same over processes: since `began`, `lines` were written; `unsaid` were not, nor told since."""

    began: float = -math.inf
    lines: int = 0
    unsaid: int = 0

    def one_more(self, now: float, lines_max: int) -> tuple[Counted, int]:
        """Return what to remember, and how many to write down now, this one included; 0 for none. Pure."""
        fresh = now < self.began or now >= self.began + SECONDS
        began, lines = (now, 0) if fresh else (self.began, self.lines)
        if lines >= lines_max:
            return Counted(began, lines, self.unsaid + 1), 0
        return Counted(began, lines + 1), self.unsaid + 1


def count(file: Path, now: float, lines_max: int) -> int:
    """How many are to be written down now, by what the processes that share `file` counted there; 1 where nothing can
    be counted. `now` by a clock that only goes on until the machine starts again."""
    try:
        with locked(file.with_name(f"{file.name}.lock"), what="a count", wait=True):
            counted, tries = _load(file).one_more(now, lines_max)
            file.write_text(json.dumps([counted.began, counted.lines, counted.unsaid]))
            return tries
    except OSError:
        return 1


def _load(file: Path) -> Counted:
    with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
        began, lines, unsaid = json.loads(file.read_text())
        return Counted(float(began), int(lines), int(unsaid))
    return Counted()


def say_limited(say: Callable[[str], None], limit: OncePerMinute, sentence: str, now: float) -> None:
    """Say `sentence` at most once a minute, with how often it was not said."""
    if tries := limit.tries(now):
        say(sentence if tries == 1 else f"{sentence} ({tries} times since the last such line)")
