"""The generations that a replica node must still have: the documented rules in plain words, by the true times.

It shares no line with `appliance/backup/chain/retention.py`. The true time of a generation from the writer is when it
came; of one that another replica node handed on, when the writer made it: the word of that node counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

DAY = 86_400
LASTS = ((DAY, 60 * DAY), (7 * DAY, 60 * DAY + 26 * 7 * DAY), (28 * DAY, 3650 * DAY))
"""Periods, and until how long after the lock the first and the last of each stay."""


@dataclass(frozen=True)
class Came:
    """When a generation came, and its true time, in seconds of the holder's ageing clock."""

    name: str
    seconds: int
    true_seconds: int
    relayed: bool


def must_stay(came: Iterable[Came], now: int, lock_seconds: int) -> set[str]:
    """The names of those that no rule lets go at `now`."""
    came = list(came)
    stay = {it.name for it in came if now - it.seconds < lock_seconds}
    for relayed in (False, True):
        of_line = sorted((it.true_seconds, it.name) for it in came if it.relayed is relayed)
        for period, last in LASTS:
            for time, name in _edges(of_line, period):
                if now - time < lock_seconds + last:
                    stay.add(name)
    return stay | _newest_of_epochs(it.name for it in came)


def _edges(line: list[tuple[int, str]], period: int) -> Iterable[tuple[int, str]]:
    days: dict[int, list[tuple[int, str]]] = {}
    for it in line:
        days.setdefault(it[0] // period, []).append(it)
    return [it for of_day in days.values() for it in (of_day[0], of_day[-1])]


def _newest_of_epochs(names: Iterable[str]) -> set[str]:
    newest: dict[str, str] = {}
    for name in sorted(names):
        newest[name[:5]] = name
    return set(newest.values())
