"""The roster as the queue of a monitoring node gets it: plain values in its settings, from the territory of the control
machine. Pure."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from typing import Any

from appliance.errors import UsageError
from appliance.monitor.duty.calling import STEPS_MAX, DutyPlan, OnCall
from appliance.territory.duty import Roster
from appliance.territory.model import Territory


def plan_json(territory: Territory) -> dict[str, Any]:
    """The plan of `territory`; empty where it has no roster. `steps` is the number of receivers that Alertmanager needs
    for each kind of alert."""
    roster = territory.duty
    if not roster.persons:
        return {}
    people = [territory.people[name] for name in roster.persons]
    return {
        "steps": min(STEPS_MAX, len(people)),
        "timezone": territory.timezone,
        "rotation": list(roster.rotation),
        "since": roster.since,
        "weeks": {week: list(names) for week, names in sorted(roster.weeks.items())},
        "changes_at": roster.changes_at,
        "urgent_after_seconds": roster.urgent_after_seconds,
        "other_after_seconds": roster.other_after_seconds,
        "persons": [
            {"name": it.name, "title": it.title, "addressees": list(it.addressees), "touches": list(it.touches)}
            for it in people
        ],
        "sites": {node.name: node.site for node in territory.nodes.values()},
        "people": {it.name: it.title for it in territory.people.values()},
    }


def read_plan(values: Mapping[str, Any]) -> DutyPlan | None:
    """The inverse of `plan_json`; None without a roster; raise UsageError for anything else."""
    if not values:
        return None
    try:
        return _plan(values)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"the roster of the queue cannot be read ({type(error).__name__}: {error}).") from error


def _plan(values: Mapping[str, Any]) -> DutyPlan:
    roster = Roster(
        rotation=tuple(values["rotation"]),
        since=str(values["since"]),
        weeks={str(week): tuple(names) for week, names in values["weeks"].items()},
        changes_at=str(values["changes_at"]),
        urgent_after_seconds=int(values["urgent_after_seconds"]),
        other_after_seconds=int(values["other_after_seconds"]),
    )
    persons = {
        it["name"]: OnCall(it["name"], tuple(it["addressees"]), tuple(it["touches"]), it["title"])
        for it in values["persons"]
    }
    titles = {str(name): str(title) for name, title in values.get("people", {}).items()}
    return DutyPlan(roster, persons, zoneinfo.ZoneInfo(values["timezone"]), dict(values["sites"]), titles)
