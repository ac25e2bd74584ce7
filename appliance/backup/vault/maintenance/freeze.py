"""Whether pruning of a service is frozen here, and why: by an operator's signed act, or by an alarm of our own.

An alarm freezes for 14 days of the ageing clock unless it is raised again; an `unfreeze` act that starts later ends
it, and ends a `freeze` act too. A legal `hold` is ended by nothing but its own end.

A `freeze` or `hold` ends when the wall clock and the ageing clock both say so: at first sight it is noted how long it
lasts, and a wall clock that was set on by years ends none. Time for which this machine is off prolongs it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import Replica
from appliance.clock import utc_text
from appliance.errors import IntegrityError
from appliance.host.disks import reserve
from appliance.host.records import Record
from appliance.node.acts import load_acts
from appliance.node.handle import Node
from appliance.trust.act import ANY_SERVICE, Act
from appliance.units import DAY, format_duration

ALARM_SECONDS = 14 * DAY
LASTING = ("freeze", "hold")


@dataclass(frozen=True)
class Alarm:
    """Raised at `age_seconds` of the ageing clock, which ends it, and at `time` (seconds UTC), which acts compare
    with."""

    reason: str
    age_seconds: int
    time: float


type FirstSeen = Mapping[str, int]
"""The age at which the ageing clock ends each freeze and hold that was seen in force, by its digest."""

REMEDY = "Find out why, then remove the file."
ALARM = Record(Alarm, 0, "the alarm cannot be read", REMEDY, mode=0o640)
FIRST_SEEN = Record(dict[str, int], 0, "the durations of freezes and holds cannot be read", REMEDY, mode=0o640)


def recorded(said: Collection[Act], first_seen: FirstSeen, *, now: float, age_seconds: int) -> FirstSeen:
    """`first_seen` with those of `said` that are in force for the first time. Pure.

    A freeze that was taken back ends by the wall clock alone: it does not begin again when the act that took it back
    ends.
    """
    ended = _thawed(it for it in said if it.in_force(now))
    first = {
        it.document.digest: age_seconds + math.ceil(min(it.end - it.start, it.end - now))
        for it in said
        if it.act in LASTING and it.in_force(now)
    }
    back = {it.document.digest for it in said if it.act == "freeze" and it.start < ended}
    return {digest: 0 if digest in back else age for digest, age in {**first, **first_seen}.items()}


def _thawed(acts: Iterable[Act]) -> float:
    """When the last `unfreeze` among `acts` began."""
    return max((act.start for act in acts if act.act == "unfreeze"), default=float("-inf"))


def about(acts: Iterable[Act], subjects: Collection[str], service: str) -> tuple[Act, ...]:
    """Those of `acts` that speak of one of `subjects` for `service`."""
    return tuple(act for act in acts if act.subject in subjects and act.service in (ANY_SERVICE, service))


def frozen_reason(
    acts: Iterable[Act],
    alarm: Alarm | None,
    *,
    subjects: Collection[str],
    service: str,
    now: float,
    age_seconds: int,
    first_seen: FirstSeen = MappingProxyType({}),
) -> str:
    """Why nothing of `service` may be pruned; "" when it may. Pure.

    `subjects` are the names an act may say it of: the service, its origin, this node.
    """
    said = about(acts, subjects, service)
    ended = _thawed(it for it in said if it.in_force(now))
    for act in (it for it in said if it.act in LASTING):
        lasts = first_seen.get(act.document.digest, 0) - age_seconds
        if not act.in_force(now) and lasts <= 0:
            continue
        if act.act == "hold" or act.start > ended:
            longer = f"the ageing clock has counted {format_duration(lasts)} more"
            until = utc_text(act.end) if act.in_force(now) else longer
            return f"{act.act} by {act.operator} until {until}: {act.reason}"
    if alarm and alarm.time > ended and age_seconds < alarm.age_seconds + ALARM_SECONDS:
        left = alarm.age_seconds + ALARM_SECONDS - age_seconds
        return f"alarm of this node, for {format_duration(left)} more unless it is raised again: {alarm.reason}"
    return ""


def why_frozen(node: Node, service: str) -> str:
    """Why nothing of `service` may be pruned at this node now; "" when it may."""
    terms = node.bundle.care_terms(service)
    subjects = (service, node.name, *((terms.origin,) if terms else ()))
    acts, now, age_seconds = load_acts(node.layout.acts, node.bundle), node.clock.now(), node.ageing.now()
    try:
        alarm = read_alarm(replica_of(node, service))
        before = read_first_seen(replica_of(node, service))
    except IntegrityError as error:
        return str(error)
    first_seen = recorded(about(acts, subjects, service), before, now=now, age_seconds=age_seconds)
    if first_seen != before:
        _keep(node, service, first_seen)
    return frozen_reason(
        acts, alarm, subjects=subjects, service=service, now=now, age_seconds=age_seconds, first_seen=first_seen
    )


def _keep(node: Node, service: str, first_seen: FirstSeen) -> None:
    """An account that only looks may not write there; the agent, which prunes, does."""
    replica = replica_of(node, service)
    if replica.root.exists():
        with contextlib.suppress(PermissionError):
            reserve.using(node.layout.vault_reserve, lambda: FIRST_SEEN.save(_first_seen(replica), dict(first_seen)))


def read_first_seen(replica: Replica) -> FirstSeen:
    """Return the notes on freezes and holds; raise IntegrityError when they cannot be read: all of them may still
    last."""
    return FIRST_SEEN.load(_first_seen(replica)) or {}


def _first_seen(replica: Replica) -> Path:
    return replica.root / "lasting"


def raise_alarm(node: Node, service: str, reason: str) -> None:
    """Freeze the pruning of `service` here for 14 days from now; again and again while the cause lasts."""
    alarm = Alarm(reason, node.ageing.now(), node.clock.now())
    replica = replica_of(node, service)
    replica.create()
    reserve.using(node.layout.vault_reserve, lambda: ALARM.save(_path(replica), alarm))
    node.journal.note("vault-alarm", service=service, reason=reason)


def read_alarm(replica: Replica) -> Alarm | None:
    """The alarm last raised, None when there never was one; raise IntegrityError when it cannot be read."""
    return ALARM.load(_path(replica))


def _path(replica: Replica) -> Path:
    return replica.root / "alarm"
