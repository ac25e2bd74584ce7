"""From looks at folders to the two figures of territory.yml, and how sure each is. Pure.

A replica node takes five times `change_per_day` in a day, and a default quota holds twice of it in the long run. So the
figure is the mean over the days that were looked at, or a fifth of the busiest one where that is more.

One walk alone knows of each file only its last change: what is changed daily counts on one day. The busiest of the last
seven days has all of that, and stands for each of them; it is a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from appliance.backup.survey.looks import Look
from appliance.backup.survey.walk import Seen
from appliance.units import GIB, KIB, MIB, format_bytes, format_count

ACCEPTED_DAYS = 5
"""A replica node takes so many declared changes of a day in one day."""
COVERED_DAYS_MIN = 6.5
"""A week with its weekend, though the clock of its last look may be some hours early."""
INTERVALS_MIN = 4
SHRUNK_BELOW = 0.5
COPIED_ABOVE = 0.5
SIZE, CHANGE = "size", "change_per_day"


@dataclass(frozen=True)
class Draft:
    """`why` says of each setting where its figure comes from; those that nobody measured are `guessed`."""

    size_bytes: int
    change_bytes_per_day: int
    guessed: tuple[str, ...]
    why: Mapping[str, str]
    days: float

    @property
    def settings(self) -> dict[str, str]:
        """As territory.yml has them, rounded up, guesses with their mark."""
        figures = {SIZE: self.size_bytes, CHANGE: self.change_bytes_per_day}
        return {name: f"{'~' if name in self.guessed else ''}{as_setting(it)}" for name, it in figures.items()}


def draft(seen: Seen, looks: Sequence[Look]) -> Draft:
    """The figures after the walk that has `seen` all there is now, and the `looks` of earlier days."""
    rows = [it for it in looks if it.since]
    days = covered_days(looks)
    size_doubt = _doubt(seen, looks)
    change, why, sure = _change(seen, rows, days)
    if sure and (doubt := size_doubt or _unknown(looks) or _copied(looks)):
        why, sure = f"{why} {doubt}", False
    size_why = f"{format_bytes(seen.bytes)} in {format_count(seen.files, 'file')} now."
    return Draft(
        size_bytes=seen.bytes,
        change_bytes_per_day=change,
        guessed=((SIZE,) if size_doubt else ()) + (() if sure else (CHANGE,)),
        why={SIZE: f"{size_why} {size_doubt}".rstrip(), CHANGE: why},
        days=days,
    )


def covered_days(looks: Sequence[Look]) -> float:
    """The days between looks that followed each other."""
    return sum(it.days for it in looks)


def as_setting(size: int) -> str:
    """`size` in the notation of territory.yml, two digits rounded up: "1.3G"; "1M" at least."""
    value, unit = max(size, MIB) / MIB, "M"
    for larger in ("G", "T"):
        if value < 1000:
            break
        value, unit = value / KIB, larger
    if value < 10:
        return f"{ceil(value * 10) / 10:.1f}".removesuffix(".0") + unit
    step = 1 if value < 100 else 10
    return f"{ceil(value / step) * step}{unit}"


def _change(seen: Seen, rows: Sequence[Look], days: float) -> tuple[int, str, bool]:
    """The change of a day, its reason, and whether it was measured."""
    by_times = max(seen.changed_by_day)
    if not rows:
        return by_times, _by_times(seen, by_times), False
    mean = sum(it.changed_bytes for it in rows) / days
    busiest = max(it.changed_bytes / max(1.0, it.days) for it in rows)
    measured = max(mean, busiest / ACCEPTED_DAYS)
    looked = f"{days:.1f} days of looks: {format_bytes(mean)} a day, {format_bytes(busiest)} on the busiest."
    if days >= COVERED_DAYS_MIN and len(rows) >= INTERVALS_MIN:
        return ceil(measured), looked, True
    if by_times > measured:
        return by_times, f"{looked} {_by_times(seen, by_times)}", False
    return ceil(measured), f"{looked} A week has quieter and busier days.", False


def _by_times(seen: Seen, most: int) -> str:
    told = f"By the times of the files: {format_bytes(most)} on the busiest of the last seven days."
    if most > _much(seen.bytes):
        told += " That is more than half of all, as after a copy or a restore."
    return told


def _doubt(seen: Seen, looks: Sequence[Look]) -> str:
    """Why the size may be too small; "" where it may not."""
    if seen.unreadable_count:
        return f"{format_count(seen.unreadable_count, 'folder')} could not be read."
    largest = max((it.bytes for it in looks), default=0)
    if seen.bytes < SHRUNK_BELOW * largest:
        return f"An earlier look found {format_bytes(largest)}: is a disk not mounted?"
    return ""


def _unknown(looks: Sequence[Look]) -> str:
    """Return what the looks could not see; "" where they saw all."""
    if unreadable := max(it.unreadable for it in looks):
        return f"On one day {format_count(unreadable, 'folder')} could not be read."
    if undated := max(it.undated for it in looks):
        return f"{format_count(undated, 'file')} had only times in the future, which say no day."
    return ""


def _copied(looks: Sequence[Look]) -> str:
    """Why the busiest days may say nothing of others, as when old files are moved to a new share; "" where they do."""
    copies = sum(it.changed_bytes > _much(before.bytes) for before, it in pairwise(looks) if it.since)
    if not 0 < copies < len(looks) / 2:
        return ""
    return f"More than half of all changed on {format_count(copies, 'day')}, as after a copy or a restore."


def _much(size: int) -> float:
    return max(COPIED_ABOVE * size, GIB)
