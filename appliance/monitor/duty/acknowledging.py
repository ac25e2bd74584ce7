"""A request to take care of alerts, and what becomes of it: accepted, or refused with a reason. Pure.

Nothing here is stored: what fires and who takes care of it are in Alertmanager (`alertmanager.py`), so both monitoring
sites decide the same, also after a restart.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from appliance.clock import SKEW_SECONDS_MAX
from appliance.monitor.duty.alertmanager import Firing
from appliance.monitor.duty.calling import Acknowledgement, DutyPlan
from appliance.monitor.duty.tokens import Asked
from appliance.units import DAY

LASTS_SECONDS = DAY
"""An alert that lasts longer calls again."""
TOKEN_SECONDS_MAX = 8 * DAY
"""Alertmanager tells again after a week, with another token."""

type Reason = Literal["", "unknown", "over", "used"]
SENTENCES: dict[str, str] = {
    "unknown": "{person} is not among `people` in territory.yml.",
    "over": "this alert is over, or began again after that letter.",
    "used": "this was used already, and the acknowledgement that it gave has ended.",
}
REMEDIES: dict[str, str] = {
    "unknown": "Ask somebody who is, or play site.yml again after a change of the roster.",
    "over": "Nothing is left to do; an alert that began again has a letter of its own.",
    "used": "Use the newest letter about the alert.",
}


@dataclass(frozen=True)
class Verdict:
    """`open`: what is to be acknowledged; `taken`: what somebody takes care of already. With a `reason` there is
    neither."""

    reason: Reason = ""
    open: tuple[Firing, ...] = ()
    taken: tuple[tuple[Firing, Acknowledgement], ...] = ()


def judge(
    asked: Asked, firing: Collection[Firing], acknowledged: Collection[Acknowledgement], now: float, plan: DutyPlan
) -> Verdict:
    """Return the verdict on `asked` at `now`."""
    if asked.person not in plan.titles:
        return Verdict("unknown")
    meant = [it for it in firing if it.fingerprint in asked.fingerprints and it.began <= asked.at + SKEW_SECONDS_MAX]
    if not meant or now - asked.at > TOKEN_SECONDS_MAX:
        return Verdict("over")
    taken = tuple((it, by) for it in meant if (by := taken_by(it, acknowledged, now)))
    left = tuple(it for it in meant if it not in [alert for alert, _ in taken])
    if left and all(_used(asked, it, acknowledged, now) for it in left):
        return Verdict("used")
    return Verdict("", left, taken)


def taken_by(alert: Firing, acknowledged: Collection[Acknowledgement], now: float) -> Acknowledgement | None:
    """The newest acknowledgement of `alert` that is in force at `now`."""
    found = [it for it in acknowledged if it.covers(alert.cause, now, ahead_seconds=SKEW_SECONDS_MAX)]
    return max(found, key=lambda it: it.at) if found else None


def overdue(alert: Firing, acknowledged: Collection[Acknowledgement], now: float) -> Acknowledgement | None:
    """The newest acknowledgement of `alert`, where it has ended although `alert` still lasts."""
    found = sorted((it for it in acknowledged if it.is_of(alert.cause)), key=lambda it: it.at)
    return found[-1] if found and found[-1].until <= now else None


def _used(asked: Asked, alert: Firing, acknowledged: Collection[Acknowledgement], now: float) -> bool:
    given = (it for it in acknowledged if it.fingerprint == alert.fingerprint and it.person == asked.person)
    return any(asked.at <= it.at and it.until <= now for it in given)
