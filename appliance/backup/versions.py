"""Which read-only snapshots of a folder stay as its previous versions. Pure.

Windows and Samba know a snapshot by its name, @GMT-2026.11.25-08.00.00, always UTC.

Invariant: no clock removes history. The wall clock only names. The rule counts runs of snapshots, in the order in which
the file system made them, that bear the same hour or the same day: the first of each of the last 48 hours and the last
of each of the last 35 days *that have one* stay. A machine that was off for a month, or whose clock is a year ahead or
behind, loses one old snapshot for a new one, as on every other day. Judging by age was dropped: the first run after a
clock that jumped ahead would have removed all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

FORM = "@GMT-%Y.%m.%d-%H.%M.%S"
_OURS = re.compile(r"@GMT-\d{4}\.\d\d\.\d\d-\d\d\.\d\d\.\d\d", re.ASCII)
_HOUR, _DAY = len("@GMT-2026.11.25-08"), len("@GMT-2026.11.25")


@dataclass(frozen=True)
class Keep:
    """How many hours that have a snapshot keep their first one, and how many days their last."""

    hours: int
    days: int


@dataclass(frozen=True)
class Plan:
    """`make` is the name of the snapshot to make, "" for none; `drop` are those that need not stay after that."""

    make: str
    drop: tuple[str, ...]


def decide(names: Sequence[str], now: float, keep: Keep, *, on_demand: bool = False) -> Plan:
    """Return the snapshots to make and to drop. `names`: those there are, oldest first by when the file system made
    them.

    One is made when the newest bears another hour (where no hours are kept: another day), and `on_demand` in any case.
    Names of another form are left alone.
    """
    ours = [name for name in names if is_ours(name)]
    unit = _hour if keep.hours else _day
    wanted = name_of(now)
    due = on_demand or not ours or unit(ours[-1]) != unit(wanted)
    make = _unused(now, frozenset(names)) if due else ""
    after = [*ours, make] if make else ours
    stay = {*_first_of_each(after, _hour, keep.hours), *_last_of_each(after, _day, keep.days)}
    return Plan(make, tuple(name for name in after if name not in stay))


def name_of(now: float) -> str:
    """The name of a snapshot made at `now`, UTC seconds."""
    return datetime.fromtimestamp(now, UTC).strftime(FORM)


def is_ours(name: str) -> bool:
    return _OURS.fullmatch(name) is not None


def _unused(now: float, taken: frozenset[str]) -> str:
    """The name of `now`, or of the next second that has none: after the clock was set back, or two in a second."""
    while name_of(now) in taken:
        now += 1
    return name_of(now)


def _first_of_each(names: Sequence[str], unit: Callable[[str], str], count: int) -> list[str]:
    """The first of each: snapshots that backups ask for in between then take no hour's version away from people."""
    first = [next(run) for _, run in groupby(names, unit)]
    return first[-count:] if count else []


def _last_of_each(names: Sequence[str], unit: Callable[[str], str], count: int) -> list[str]:
    """The newest of all is among them."""
    last = [list(run)[-1] for _, run in groupby(names, unit)]
    return last[-count:] if count else []


def _hour(name: str) -> str:
    return name[:_HOUR]


def _day(name: str) -> str:
    return name[:_DAY]
