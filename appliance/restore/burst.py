"""Did something rewrite many files within minutes, and which is the last archive before it? Pure, over counts.

Ransomware writes each file again, under its old name or a new one, faster than people do. So an archive shows an attack
when it replaces or loses many files that the one before had, while about as many were written within a quarter of an
hour, far more than is usual here. Moving a folder writes nothing, copying photos in replaces nothing: neither counts.
Files that a program rewrote and dated back show in the number of changed files alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from statistics import median_low

from appliance.units import MINUTE

QUICK_MINUTES = 15
LEAST_FILES, LEAST_FILES_UNTIMED = 30, 300
OTHERS_LEAST = 5
"""Number alone says something only beside so many other archives."""
TIMES_USUAL, TIMES_USUAL_NEARBY = 10, 3
"""How far above the usual an attack is, and an archive beside one that shows its beginning or end."""
PAUSE_MINUTES = 5
"""Quieter minutes than the busiest one by BUSY_PART, that many in a row, end an attack."""
BUSY_PART = 20


@dataclass(frozen=True)
class Observed:
    """The changes of `archive` against `before`, the one made before it; of files only, times in UTC seconds.

    `changed` had other contents before, `gone` are there no more; `written` counts the files of either archive's time
    by the minute (since 1970) in which they were written.
    """

    archive: str
    start_seconds: float
    before: str
    before_seconds: float
    changed: int
    gone: int
    written: Mapping[int, int] = field(default_factory=dict)

    @property
    def quick(self) -> int:
        """How many files may have been rewritten within a quarter of an hour."""
        return min(self.changed + self.gone, busiest(self.written))


@dataclass(frozen=True)
class Burst:
    """`archives` show it, oldest first; `safe` was made before. `window`: from and to, None when files tell no time."""

    archives: tuple[str, ...]
    safe: str
    safe_seconds: float
    changed: int
    gone: int
    window: tuple[float, float] | None


def bursts(observed: Sequence[Observed]) -> tuple[Burst, ...]:
    """Every burst in `observed`, which is in order of time; the latest first. None: nothing unusual is seen."""
    above = [_times_usual(it, [other for other in observed if other is not it]) for it in observed]
    found: list[Burst] = []
    for unusual, run in groupby(zip(observed, above, strict=True), lambda pair: pair[1] >= TIMES_USUAL_NEARBY):
        pairs = list(run)
        if unusual and any(times >= TIMES_USUAL for _, times in pairs):
            found.append(_burst([it for it, _ in pairs]))
    return tuple(reversed(found))


def _times_usual(it: Observed, others: Sequence[Observed]) -> float:
    """How far `it` is above what is usual here; 0 for what is too little to be an attack."""
    quick = it.quick / _usual([other.quick for other in others]) if it.quick >= LEAST_FILES else 0
    is_untimed = it.changed >= LEAST_FILES_UNTIMED and len(others) >= OTHERS_LEAST
    return max(quick, it.changed / _usual([other.changed for other in others]) if is_untimed else 0)


def _usual(counts: Sequence[int]) -> int:
    return max(1, median_low(counts)) if counts else 1


def busiest(written: Mapping[int, int]) -> int:
    """The most files written within QUICK_MINUTES."""
    return max((_between(written, minute, minute + QUICK_MINUTES) for minute in written), default=0)


def window(written: Mapping[int, int]) -> tuple[int, int] | None:
    """The minutes, the last one excluded, around the busiest one that are about as busy."""
    if not written:
        return None
    peak = max(written, key=lambda minute: (written[minute], -minute))
    busy = sorted(minute for minute, count in written.items() if count * BUSY_PART >= written[peak])
    cuts = [later for earlier, later in pairwise(busy) if later - earlier > PAUSE_MINUTES]
    start = max((cut for cut in cuts if cut <= peak), default=busy[0])
    end = min((cut for cut in cuts if cut > peak), default=None)
    return start, max(minute for minute in busy if end is None or minute < end) + 1


def _between(written: Mapping[int, int], start: int, end: int) -> int:
    return sum(written.get(minute, 0) for minute in range(start, end))


def _burst(run: Sequence[Observed]) -> Burst:
    written: dict[int, int] = {}
    for it in run:
        for minute, count in it.written.items():
            written[minute] = written.get(minute, 0) + count
    changed, gone = sum(it.changed for it in run), sum(it.gone for it in run)
    span = window(written) if busiest(written) >= LEAST_FILES else None
    seconds = (float(span[0] * MINUTE), float(span[1] * MINUTE)) if span else None
    return Burst(tuple(it.archive for it in run), run[0].before, run[0].before_seconds, changed, gone, seconds)
