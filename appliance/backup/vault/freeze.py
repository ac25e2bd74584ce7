"""Whether thinning of a service is frozen here, and why: by an operator's signed act, or by an alarm of our own.

An alarm freezes for 14 days of the ageing clock unless it is raised again; an `unfreeze` act that starts later ends
it, and ends a `freeze` act too. A legal `hold` is ended by nothing but its own end.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance.backup.node import Node
from appliance.backup.targets import load_acts
from appliance.backup.vault.store import Holding
from appliance.clock import utc_text
from appliance.errors import IntegrityError
from appliance.host.files import write_atomic
from appliance.trust.act import Act
from appliance.units import DAY, format_duration

ALARM_SECONDS = 14 * DAY


@dataclass(frozen=True)
class Alarm:
    """Raised at `age_seconds` of the ageing clock, which ends it, and at `time` (seconds UTC), which acts compare
    with."""

    reason: str
    age_seconds: int
    time: float


def frozen_reason(
    acts: Iterable[Act], alarm: Alarm | None, *, subjects: Collection[str], service: str, now: float, age_seconds: int
) -> str:
    """Why nothing of `service` may be thinned; "" when it may. Pure.

    `subjects` are the names an act may say it of: the service, its origin, this node.
    """
    said = [act for act in acts if any(act.concerns(act.act, subject, service, now) for subject in subjects)]
    ended = max((act.start for act in said if act.act == "unfreeze"), default=float("-inf"))
    for act in said:
        if act.act == "hold" or (act.act == "freeze" and act.start > ended):
            return f"{act.act} by {act.operator} until {utc_text(act.end)}: {act.reason}"
    if alarm and alarm.time > ended and age_seconds < alarm.age_seconds + ALARM_SECONDS:
        left = alarm.age_seconds + ALARM_SECONDS - age_seconds
        return f"alarm of this node, for {format_duration(left)} more unless it is raised again: {alarm.reason}"
    return ""


def why_frozen(node: Node, service: str) -> str:
    """Why nothing of `service` may be thinned at this node now; "" when it may."""
    try:
        alarm = read_alarm(node.holding(service))
    except IntegrityError as error:
        return str(error)
    terms = node.bundle.care_terms(service)
    return frozen_reason(
        load_acts(node.layout.acts, node.bundle),
        alarm,
        subjects=(service, node.name, *((terms.origin,) if terms else ())),
        service=service,
        now=node.clock.now(),
        age_seconds=node.ageing.now(),
    )


def raise_alarm(node: Node, service: str, reason: str) -> None:
    """Freeze the thinning of `service` here for 14 days from now; again and again while the cause lasts."""
    alarm = Alarm(reason, node.ageing.now(), node.clock.now())
    holding = node.holding(service)
    holding.create()
    write_atomic(_path(holding), json.dumps(asdict(alarm)).encode(), mode=0o640)
    node.journal.write("vault-alarm", service=service, reason=reason)


def read_alarm(holding: Holding) -> Alarm | None:
    """The alarm last raised, None when there never was one; raise IntegrityError when it cannot be read."""
    try:
        fields = json.loads(_path(holding).read_bytes())
        return Alarm(str(fields["reason"]), int(fields["age_seconds"]), float(fields["time"]))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise IntegrityError(
            "the alarm cannot be read.", where=str(_path(holding)), remedy="Find out why, then remove the file."
        ) from error


def _path(holding: Holding) -> Path:
    return holding.root / "alarm"
