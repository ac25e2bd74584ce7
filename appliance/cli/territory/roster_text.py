"""The duty weeks of a territory as text; pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

from appliance.territory.duty import Roster, after, monday, week_at
from appliance.territory.model import Territory
from appliance.units import as_typed

HOLES_TOLD_MAX = 5


def this_week(territory: Territory, now: float) -> str:
    return week_at(now, ZoneInfo(territory.timezone), territory.duty.changes_at)


def holes_text(name: str, roster: Roster, holes: Sequence[str]) -> str:
    """The weeks without a person, and the line to write for each."""
    told = [f"{name}: nobody is on duty in these weeks, and everybody of the roster is called. Write below `weeks`:"]
    for index, week in enumerate(holes[:HOLES_TOLD_MAX]):
        told.append(f"  {week}: [{_proposed(roster, week, index)}]  # {days(week)}")
    if more := len(holes) - HOLES_TOLD_MAX if holes[HOLES_TOLD_MAX:] else 0:
        told.append(f"  ({more} more: {as_typed('appliance', 'territory', 'duty', name, '--weeks', '104')})")
    return "\n".join(told)


def _proposed(roster: Roster, week: str, index: int) -> str:
    """The person with the fewest weeks, and so on in turn."""
    counts = {name: sum(name in names for names in roster.weeks.values()) for name in roster.persons}
    fewest = sorted(roster.persons, key=lambda name: (name in roster.on_duty(after(week, -1)), counts[name]))
    return fewest[index % len(fewest)]


def days(week: str) -> str:
    first = monday(week)
    return f"{first.isoformat()} to {(first + timedelta(days=6)).isoformat()}"


def titles(territory: Territory, persons: Sequence[str]) -> str:
    return ", then ".join(f"{name} ({territory.people[name].title})" for name in persons) or "NOBODY: all are called"
