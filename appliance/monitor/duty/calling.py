"""The persons who are called for an alert; pure.

Alertmanager counts the time. It has a receiver for each step, and the one of step 3 first gets what still lasts two
waits after it began. Both monitoring sites agree through it on which of them tells, and an alert that ended reaches
no further step. So a step has no state of its own here: the same order comes out at both sites and after a restart.
What was acknowledged calls nobody further while the acknowledgement lasts, and the person on duty is told all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from appliance.territory.duty import Roster, after, week_at
from appliance.units import DAY, MINUTE

STEPS_MAX = 6
REPEAT_SECONDS = 7 * DAY
"""After which Alertmanager tells again what lasts: its `repeat_interval` (roles/monitoring/templates)."""
AHEAD_SECONDS_MAX = 5 * MINUTE
"""How far the clock of the machine that took an acknowledgement may be ahead."""


@dataclass(frozen=True)
class OnCall:
    """A person of the roster, the addressees that reach them, and the sites and nodes whose boxes they can touch."""

    name: str
    addressees: tuple[str, ...]
    touches: tuple[str, ...] = ()
    title: str = ""


@dataclass(frozen=True)
class DutyPlan:
    """`sites`: the site of each node. `titles`: everybody in `people`, with a week or without."""

    roster: Roster
    persons: Mapping[str, OnCall]
    zone: ZoneInfo
    sites: Mapping[str, str]
    titles: Mapping[str, str] = field(default_factory=dict)

    def can_touch(self, name: str, place: str) -> bool:
        """Whether the person `name` can touch the box, or one of the boxes, of the node or site `place`."""
        touches = self.persons[name].touches
        sites = (self.sites.get(it, "") for it in touches)
        return not place or not touches or place in touches or self.sites.get(place) in touches or place in sites


@dataclass(frozen=True)
class Cause:
    """One alert of an incident, by the fingerprint of Alertmanager, "" where it has none, and when it began, UTC
    seconds."""

    fingerprint: str
    began: float


@dataclass(frozen=True)
class Incident:
    """An alert that one notification tells, the node or site that it is about, "" for none, and its causes."""

    alert: str
    place: str
    urgent: bool
    firing: bool
    causes: tuple[Cause, ...]

    @property
    def began(self) -> float:
        return min(it.began for it in self.causes)


@dataclass(frozen=True)
class Acknowledgement:
    """`person` took care at `at`, until `until`, of the alert of that fingerprint, if it had begun."""

    fingerprint: str
    person: str
    at: float
    until: float

    def is_of(self, cause: Cause) -> bool:
        """Whether it was given for `cause`. An alert that ended and began again is another cause."""
        return self.fingerprint == cause.fingerprint and cause.began <= self.at

    def covers(self, cause: Cause, moment: float, *, ahead_seconds: float = 0.0) -> bool:
        """Whether it keeps `cause` from calling the next person at `moment`."""
        return self.is_of(cause) and self.at <= moment + ahead_seconds and moment < self.until


@dataclass(frozen=True)
class CalledAgain:
    """`persons` were called at `at`, in `step`, for the alert of that fingerprint, which somebody had acknowledged."""

    fingerprint: str
    step: int
    persons: tuple[str, ...]
    at: float


@dataclass(frozen=True)
class Called:
    """Names of persons, in order, and the reason. Nobody is a decision, too."""

    persons: tuple[str, ...]
    reason: str


def who_is_called(
    incident: Incident, step: int, now: float, plan: DutyPlan, acknowledged: Collection[Acknowledgement] | None = ()
) -> Called:
    """The persons of `step`, from 1 on, for `incident`; `acknowledged` is None where nobody could be asked for it."""
    week = week_of(incident, now, plan)
    if not plan.roster.on_duty(week):
        everybody = tuple(it for it in plan.roster.persons if it in plan.persons)
        reason = f"nobody is on duty in {week}, so everybody is called"
        return Called(everybody, reason) if step == 1 else Called((), f"{reason} at once")
    if step > 1 and (by := acknowledged_by(incident, step, now, plan.roster, acknowledged or ())):
        return Called((), f"{by} acknowledged it")
    order = call_order(incident.place, week, plan)
    if step > len(order):
        return Called((), "there is no further person to call")
    name = order[step - 1]
    return Called((name,), _reason(name, step, incident, week, plan, is_known=acknowledged is not None))


def week_of(incident: Incident, now: float, plan: DutyPlan) -> str:
    """The duty week that decides the order: that in which the alert began, or was last told again. A change of weeks
    between two steps would call one person twice and leave out another."""
    rounds = max(0, int((now - incident.began) // REPEAT_SECONDS))
    return week_at(incident.began + rounds * REPEAT_SECONDS, plan.zone, plan.roster.changes_at)


def call_order(place: str, week: str, plan: DutyPlan) -> tuple[str, ...]:
    """Everybody of the roster: those of `week` first, then those of the weeks after it, the others at the end; of all
    of them first those who can touch the box of `place`."""
    roster = plan.roster
    coming = (
        name for count in range(len(roster.rotation) + len(roster.weeks) + 1) for name in _of(roster, week, count)
    )
    ordered = [it for it in dict.fromkeys((*coming, *roster.persons)) if it in plan.persons]
    ordered.sort(key=lambda name: not plan.can_touch(name, place))
    return tuple(ordered[:STEPS_MAX])


def wait_seconds(incident: Incident, roster: Roster) -> int:
    """How long after one person the next one is called."""
    return roster.urgent_after_seconds if incident.urgent else roster.other_after_seconds


def acknowledged_by(
    incident: Incident, step: int, now: float, roster: Roster, acknowledged: Collection[Acknowledgement]
) -> str:
    """The person who acknowledged all of `incident`, "" for nobody. Of one that ended, in time to keep `step` from
    being called, since every person who was called is told of the end."""
    moment = now if incident.firing else called_at(incident, step, roster)
    ahead = AHEAD_SECONDS_MAX if incident.firing else 0
    by = ""
    for cause in incident.causes:
        found = [it for it in acknowledged if it.covers(cause, moment, ahead_seconds=ahead)]
        if not found:
            return ""
        by = max(found, key=lambda it: it.at).person
    return by


def called_so_far(incident: Incident, now: float, plan: DutyPlan) -> tuple[str, ...]:
    """The persons who got `incident`, which lasts, until `now` if nobody acknowledged it."""
    week = week_of(incident, now, plan)
    if not plan.roster.on_duty(week):
        return tuple(it for it in plan.roster.persons if it in plan.persons)
    steps = range(1, STEPS_MAX + 1)
    count = sum(called_at(incident, step, plan.roster) <= now for step in steps)
    return call_order(incident.place, week, plan)[:count]


def told_by_steps(
    incident: Incident, now: float, plan: DutyPlan, acknowledged: Collection[Acknowledgement] | None
) -> tuple[str, ...]:
    """The persons of the steps after the first one that were called until `now`: each of these steps tells the end."""
    steps = (step for step in range(2, STEPS_MAX + 1) if called_at(incident, step, plan.roster) <= now)
    return tuple(name for step in steps for name in who_is_called(incident, step, now, plan, acknowledged).persons)


def called_at(incident: Incident, step: int, roster: Roster) -> float:
    """When the person of `step` is called, UTC seconds."""
    return incident.began + (step - 1) * wait_seconds(incident, roster)


def _of(roster: Roster, week: str, count: int) -> tuple[str, ...]:
    return roster.on_duty(after(week, count))


def _reason(name: str, step: int, incident: Incident, week: str, plan: DutyPlan, *, is_known: bool) -> str:
    on_duty = name in plan.roster.on_duty(week)
    told = f"on duty in {week}" if on_duty else f"next after {week}"
    if not plan.can_touch(name, incident.place):
        told += f", although unable to touch the box of {incident.place}"
    elif step == 1 and not on_duty:
        told = f"the first who can touch the box of {incident.place}"
    if step > 1 and not is_known:
        return f"{told}; whether somebody acknowledged it is not known"
    minutes = (step - 1) * wait_seconds(incident, plan.roster) // MINUTE
    return told if step == 1 else f"{told}; nobody acknowledged it for {minutes} min"
