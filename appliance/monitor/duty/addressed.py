"""The addressees of a notification: those of the persons who are called, and always somebody for a first one. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from appliance.monitor.duty.alertmanager import place_of, seconds
from appliance.monitor.duty.calling import (
    Acknowledgement,
    CalledAgain,
    Cause,
    DutyPlan,
    Incident,
    call_order,
    told_by_steps,
    wait_seconds,
    week_of,
    who_is_called,
)
from appliance.monitor.letter import FIRING
from appliance.monitor.outbox import addressees_of
from appliance.units import MINUTE

URGENT, OTHER = "astreinte", "regie"
CALLED = "called"
"""The field of a notification that names the person it is for; Alertmanager has none of that name."""
_STEP = re.compile(rf"({URGENT}|{OTHER})(?:-([2-9]))?")


@dataclass(frozen=True)
class Addressed:
    """One of `addressees` each gets `notification`; `reason` is for the log."""

    addressees: tuple[str, ...]
    notification: Mapping[str, Any]
    reason: str


def addressed(
    settings: Mapping[str, Any],
    plan: DutyPlan | None,
    receiver: str,
    notification: Mapping[str, Any],
    now: float,
    acknowledged: Collection[Acknowledgement] | None = (),
    again: Collection[CalledAgain] = (),
) -> tuple[Addressed, ...]:
    """The addressees of `notification` for `receiver`, a name or a name and a step, as "astreinte-2"; `acknowledged`
    is None where nobody could be asked for it. Those who were called again learn of the end with the first person."""
    found = _STEP.fullmatch(receiver)
    if plan is None or found is None:
        return (Addressed(addressees_of(settings, receiver), notification, receiver),)
    kind, step = found[1], int(found[2] or 1)
    incident = incident_of(notification, now, urgent=kind == URGENT)
    called = who_is_called(incident, step, now, plan, acknowledged)
    if step == 1 and (ended := _called_again(notification["alerts"], again, plan)):
        told = told_by_steps(incident, now, plan, acknowledged)
        persons = (*called.persons, *(it for it in ended if it not in told))
        called = replace(called, persons=tuple(dict.fromkeys(persons)))
    letters = tuple(
        letters_to(
            called.persons, notification, lambda name: _said(name, incident, step, now, plan), called.reason, plan
        )
    )
    if step == 1 and not any(it.addressees for it in letters):
        return (Addressed(addressees_of(settings, kind), notification, "nobody of the roster can be reached"),)
    return letters or (Addressed((), notification, called.reason),)


def incident_of(notification: Mapping[str, Any], now: float, *, urgent: bool) -> Incident:
    """The incident that `notification` tells; without a readable beginning it began now, and nobody acknowledged it."""
    alerts = notification["alerts"]
    firing = notification["status"] == "firing"
    counted = [it for it in alerts if it["status"] == "firing"] if firing else alerts
    places = {place_of(it["labels"]) for it in alerts}
    return Incident(
        alert=alerts[0]["labels"]["alertname"],
        place=places.pop() if len(places) == 1 else "",
        urgent=urgent,
        firing=firing,
        causes=tuple(_cause(it, now) for it in counted) or (Cause("", now),),
    )


def _cause(alert: Mapping[str, Any], now: float) -> Cause:
    """One without a readable fingerprint is one that nobody can have acknowledged."""
    return Cause(str(alert.get("fingerprint", "")), _seconds(alert.get("startsAt"), now))


def is_further(receiver: str) -> bool:
    """Whether `receiver` is that of a step after the first one, which an acknowledgement holds back."""
    found = _STEP.fullmatch(receiver)
    return bool(found and found[2])


def tells_an_end(receiver: str, notification: Mapping[str, Any]) -> bool:
    """Whether persons who were called again may have to learn of it."""
    return bool(_STEP.fullmatch(receiver)) and any(it["status"] != FIRING for it in notification["alerts"])


def _called_again(
    alerts: Collection[Mapping[str, Any]], again: Collection[CalledAgain], plan: DutyPlan
) -> tuple[str, ...]:
    """The persons who were called again for those of `alerts` that ended."""
    began = {it.fingerprint: it.began for it in (_cause(alert, 0.0) for alert in alerts if alert["status"] != FIRING)}
    called = [it for it in again if it.fingerprint in began and began[it.fingerprint] <= it.at]
    return tuple(name for it in called for name in it.persons if name in plan.persons)


def letters_to(
    persons: Iterable[str],
    notification: Mapping[str, Any],
    words: Callable[[str], Mapping[str, Any]],
    reason: str,
    plan: DutyPlan,
) -> Iterator[Addressed]:
    """A letter for each of `persons`, with its `words`; an addressee that two of them have gets the first one alone."""
    told = set[str]()
    for name in persons:
        addressees = tuple(it for it in plan.persons[name].addressees if it not in told)
        told.update(addressees)
        yield Addressed(addressees, {**notification, CALLED: words(name)}, f"{name}: {reason}")


def words_to(
    name: str, incident: Incident, moment: float, plan: DutyPlan, *, waited_minutes: int, is_last: bool
) -> dict[str, Any]:
    """The words of the letter about the person it calls, by the week of `moment`, and after how many minutes the next
    one is called."""
    week = week_of(incident, moment, plan)
    on_duty = plan.roster.on_duty(week)
    return {
        "name": name,
        "person": plan.persons[name].title or name,
        "week": week,
        "on_duty": name in on_duty,
        "everybody": not on_duty,
        "waited_minutes": waited_minutes,
        "next_minutes": 0 if is_last else wait_seconds(incident, plan.roster) // MINUTE,
        "alert": incident.alert,
        "place": incident.place,
    }


def _said(name: str, incident: Incident, step: int, now: float, plan: DutyPlan) -> dict[str, Any]:
    week = week_of(incident, now, plan)
    is_last = not plan.roster.on_duty(week) or step >= len(call_order(incident.place, week, plan))
    waited = (step - 1) * (wait_seconds(incident, plan.roster) // MINUTE)
    return words_to(name, incident, now, plan, waited_minutes=waited, is_last=is_last)


def _seconds(text: Any, now: float) -> float:
    try:
        return seconds(text)
    except (TypeError, ValueError):
        return now
