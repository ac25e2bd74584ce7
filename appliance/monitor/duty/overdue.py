"""An alert that was acknowledged a day ago and still lasts calls the persons of the roster in a new round. Pure.

The round begins when the acknowledgement ends, with the person on duty then and the one who took care of it, and goes
on to the next person after the usual wait. Each step that was called is noted in Alertmanager, which copies the note to
the other monitoring site: neither site calls it twice, also after a restart. The second site looks a little later.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from appliance.clock import utc_text
from appliance.monitor.duty.acknowledging import overdue
from appliance.monitor.duty.addressed import words_to
from appliance.monitor.duty.alertmanager import Firing
from appliance.monitor.duty.calling import (
    Acknowledgement,
    CalledAgain,
    Cause,
    DutyPlan,
    Incident,
    call_order,
    wait_seconds,
    week_of,
)
from appliance.units import HOUR, MINUTE

PATIENCE_SECONDS = 2 * MINUTE
"""How much later than the site before it a monitoring site looks."""


@dataclass(frozen=True)
class Again:
    """`alerts` of one name, of which `by` took care, call the persons of `step`, from 1 on; nobody is a decision, too.
    `further` says whether somebody is called after them."""

    alerts: tuple[Firing, ...]
    by: Acknowledgement
    step: int
    persons: tuple[str, ...]
    further: bool
    incident: Incident

    @property
    def key(self) -> tuple[object, ...]:
        return (tuple(it.fingerprint for it in self.alerts), self.by.until, self.step)


def due(
    firing: Collection[Firing],
    acknowledged: Collection[Acknowledgement],
    called: Collection[CalledAgain],
    now: float,
    plan: DutyPlan,
    patience_seconds: float = 0.0,
) -> tuple[Again, ...]:
    """Return the calls that are due at `now`; alerts of one name that were acknowledged together are one call."""
    found = dict[tuple[str, str, Acknowledgement, int], list[Firing]]()
    for alert in firing:
        by = None if alert.suppressed else overdue(alert, acknowledged, now)
        if by is None:
            continue
        mine = [it for it in called if it.fingerprint == alert.fingerprint and it.at > by.at]
        if now >= _due_at(alert, by, mine, plan) + patience_seconds:
            one = replace(by, fingerprint="", at=float(int(by.at)))
            found.setdefault((alert.alert, alert.severity, one, _step(mine)), []).append(alert)
    made = (_again(tuple(alerts), by, step, plan) for (_, _, by, step), alerts in found.items())
    return tuple(it for it in made if it)


def said(name: str, again: Again, plan: DutyPlan) -> dict[str, Any]:
    """The words of the letter to `name`."""
    words = words_to(name, again.incident, again.by.until, plan, waited_minutes=0, is_last=not again.further)
    took_care = {
        "by": plan.titles.get(again.by.person) or again.by.person,
        "since": utc_text(again.by.at),
        "hours": round((again.by.until - again.by.at) / HOUR),
    }
    return {**words, "again": took_care}


def _again(alerts: tuple[Firing, ...], by: Acknowledgement, step: int, plan: DutyPlan) -> Again | None:
    """None after the last step."""
    incident = _incident(alerts, by)
    steps = _steps(incident, by, plan)
    if step > len(steps):
        return None
    return Again(alerts, by, step, steps[step - 1], step < len(steps), incident)


def _steps(incident: Incident, by: Acknowledgement, plan: DutyPlan) -> tuple[tuple[str, ...], ...]:
    """The persons of each step; everybody at once in a week without a person."""
    week = week_of(incident, by.until, plan)
    if not plan.roster.on_duty(week):
        return (tuple(it for it in plan.roster.persons if it in plan.persons),)
    order = call_order(incident.place, week, plan)
    first = tuple(dict.fromkeys((*order[:1], *((by.person,) if by.person in plan.persons else ()))))
    return (first, *((it,) for it in order if it not in first))


def _incident(alerts: tuple[Firing, ...], by: Acknowledgement) -> Incident:
    """As if the alerts had begun when the acknowledgement ended."""
    places = {it.place for it in alerts}
    return Incident(
        alert=alerts[0].alert,
        place=places.pop() if len(places) == 1 else "",
        urgent=alerts[0].urgent,
        firing=True,
        causes=tuple(Cause(it.fingerprint, by.until) for it in alerts),
    )


def _step(called: Collection[CalledAgain]) -> int:
    return max((it.step for it in called), default=0) + 1


def _due_at(alert: Firing, by: Acknowledgement, called: Collection[CalledAgain], plan: DutyPlan) -> float:
    """When the step after those of `called` is due, UTC seconds."""
    if not called:
        return by.until
    return max(it.at for it in called) + wait_seconds(_incident((alert,), by), plan.roster)
