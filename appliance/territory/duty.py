"""Duty weeks: the person who answers alerts, week by week. Pure; only the standard library.

A duty week has the number of its ISO week, and begins on Monday at `changes_at`, local time. It is not signed: a change
of weeks with a colleague must not need the territory key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo

from appliance.units import HOUR, MINUTE

WEEK = re.compile(r"\d{4}-W\d{2}")
CHANGES_AT = "08:00"
AHEAD_WEEKS = 8
"""How far ahead a roster is looked at for a week without a person."""


@dataclass(frozen=True)
class Roster:
    """`rotation`: persons who take a week each in turn, the first one in the week `since`; `weeks`: persons of single
    weeks, who count before the rotation, the first of them is called first. An urgent alert goes to the next person
    `urgent_after_seconds` after the one before, any other `other_after_seconds`."""

    rotation: tuple[str, ...] = ()
    since: str = ""
    weeks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    changes_at: str = CHANGES_AT
    urgent_after_seconds: int = 30 * MINUTE
    other_after_seconds: int = 8 * HOUR

    @property
    def persons(self) -> tuple[str, ...]:
        """Everybody who has a week, those of the rotation first."""
        named = (name for week in sorted(self.weeks) for name in self.weeks[week])
        return tuple(dict.fromkeys((*self.rotation, *named)))

    def on_duty(self, week: str) -> tuple[str, ...]:
        """The persons of `week`; none where the roster has a hole."""
        if week in self.weeks:
            return self.weeks[week]
        if not self.rotation or week < self.since:
            return ()
        return (self.rotation[weeks_between(self.since, week) % len(self.rotation)],)

    def holes(self, week: str, count: int = AHEAD_WEEKS) -> tuple[str, ...]:
        """The weeks without a person among `count` from `week` on, and any before the last week that is named."""
        if not self.persons:
            return ()
        last = max((after(week, count - 1), *self.weeks))
        return tuple(it for it in weeks_from(week, last) if not self.on_duty(it))


def week_at(now: float, zone: tzinfo, changes_at: str = CHANGES_AT) -> str:
    """The duty week at `now`, UTC seconds."""
    hours, minutes = map(int, changes_at.split(":"))
    local = datetime.fromtimestamp(now, zone).replace(tzinfo=None)
    return week_of((local - timedelta(hours=hours, minutes=minutes)).date())


def week_of(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year:04d}-W{week:02d}"


def monday(week: str) -> date:
    """The first day of `week`; raise ValueError for a week that its year does not have."""
    return date.fromisocalendar(int(week[:4]), int(week[6:]), 1)


def after(week: str, count: int) -> str:
    """The week `count` weeks after `week`."""
    return week_of(monday(week) + timedelta(weeks=count))


def weeks_between(first: str, last: str) -> int:
    return (monday(last) - monday(first)).days // 7


def weeks_from(first: str, last: str) -> Iterator[str]:
    """Every week from `first` to `last`."""
    for count in range(weeks_between(first, last) + 1):
        yield after(first, count)
