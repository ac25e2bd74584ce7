"""The readings of one service, each measure with its state. Pure.

A node judges what it knows of itself by its own checks (`monitor/checks.py`), and the page shows that. Here is judged
what no node can know: how many copies there are, whether a test was as fast as its writer promises, and what the last
report of a node means since it fell silent.

Destinations are believed, the origin is asked: how many copies are fresh is counted from what the peers that answer now
show, each in a failure domain of its own. A moment counts whichever node reported it and whenever, since a silent
node's last report stays true; only a node that answers now can tell how full or how hot something is now.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from appliance.backup.proofs.proof_times import CHECK_SECONDS, DRILL_SECONDS, SCRUB_SECONDS, VERIFY_SECONDS
from appliance.clock import SKEW_SECONDS_MAX
from appliance.monitor import metrics
from appliance.monitor.checks import alert_of
from appliance.monitor.held import is_late
from appliance.monitor.states import ORDER, State, of_age
from appliance.monitor.status import AGENT_LOOKS_WITHIN_SECONDS
from appliance.portal.dashboard.observations import LastAnswer, Observations, Sample
from appliance.territory.domains import counting_replica_nodes
from appliance.territory.model import Service, Territory

FRESH_COPY = 2.0
"""Within how many RPO a copy is fresh, as `backup:fresh_copies:count` counts."""
INTERVALS = {"blobs": SCRUB_SECONDS, "data": VERIFY_SECONDS, "repository": CHECK_SECONDS}
"""How often a check of a kind is made."""
PROOFS = {"held": ("damage", "borg-check", "reread"), "catalogue": ("verify",)}
"""The checks of what was proven, by role."""
AGEING = ("reread", "verify")
"""The checks among these that say that a proof is late."""
SAID: dict[int, State] = {metrics.STATES[name]: name for name in ORDER}


@dataclass(frozen=True)
class Reading:
    """One measure. `value` None when it is not known; `promised` what it is held against, `took` how long it took.
    `alert`: whose page says what to do, "" while all is well. `where`: the node that it is about. `at_least`: the value
    is a sum, and not all of it is known."""

    state: State = "unknown"
    value: float | None = None
    promised: float | None = None
    took: float | None = None
    alert: str = ""
    where: str = ""
    at_least: bool = False

    @property
    def strain(self) -> float:
        """How near to its promise it is, to tell the worse of two in the same state."""
        return (self.value or 0.0) / self.promised if self.promised else (self.value or 0.0)


@dataclass(frozen=True)
class ReplicaReading:
    """A peer that holds a service, or should, and how full its share is. `newest`: when its newest copy was made, UTC
    seconds, and not after it came: the clock of a writer that is ahead makes nothing fresh."""

    node: str
    newest: float | None
    share: float | None
    answers: bool
    room: State = "ok"
    """The state that its check gives for that quota."""


@dataclass(frozen=True)
class ServiceSeen:
    """A service, as its writer and its holders show it."""

    service: Service
    writer: str
    safe: Reading
    copies: Reading
    drill: Reading
    check: Reading
    room: Reading
    burst: Reading
    holders: tuple[ReplicaReading, ...] = ()
    partial: Reading = Reading()
    """Whether its newest backup lacks something; the value is since when, in seconds."""

    @property
    def silent(self) -> tuple[str, ...]:
        return tuple(it.node for it in self.holders if not it.answers)

    @property
    def state(self) -> State:
        """The state of what every service must show; a measure that a machine need not take does not make it worse."""
        must = (self.safe.state, self.copies.state)
        may = (it.state for it in (self.drill, self.check, self.room, self.partial) if it.state != "unknown")
        return min((*must, *may), key=ORDER.index)


@dataclass(frozen=True)
class MetricsView:
    """One look by `territory`: `known` is what every node told at last, `now_telling` only of those that answer.

    `answers` are what their checks said last, by node, check, role and service.
    """

    territory: Territory
    known: Mapping[str, LastAnswer]
    now_telling: Mapping[str, LastAnswer]
    now: float
    answers: Mapping[tuple[str, str, str, str], State]

    def samples(self, metric: metrics.Metric, service: str) -> Iterator[tuple[str, Sample]]:
        for node, answer in self.known.items():
            yield from ((node, it) for it in answer.all(metric.full_name, backup=service))

    def said(self, node: str, check: str, role: str, service: str) -> State | None:
        """Return the last answer of a check; None when there is none."""
        return self.answers.get((node, check, role, service))

    def is_judging(self, node: str) -> bool:
        """Whether its checks are of now: it answers, and its agent looks."""
        looked = self.now_telling[node].one(metrics.LOOKED.full_name) if node in self.now_telling else None
        return looked is not None and self.now - looked <= AGENT_LOOKS_WITHIN_SECONDS

    def state(self, node: str, check: str, role: str, service: str, aged: State) -> State:
        """The answer of a check; of a node that judges no more the worse of its last one and of what `aged` since."""
        said = self.said(node, check, role, service) or aged
        return said if self.is_judging(node) else min(said, aged, key=ORDER.index)


def view_metrics(territory: Territory, observed: Observations, now: float) -> MetricsView:
    known = {name: it.agent for name, it in observed.nodes.items() if name in territory.nodes}
    telling = {name: it for name, it in known.items() if it.answers and observed.is_fresh(now)}
    answers = {
        (name, it.labels["check"], it.labels["role"], it.labels["subject"]): SAID[int(it.value)]
        for name, answer in known.items()
        for it in answer.all(metrics.CHECK.full_name)
        if it.value in SAID
    }
    return MetricsView(territory, known, telling, now, answers)


def read(seen: MetricsView, service: Service) -> ServiceSeen:
    writer, holders = _writer(seen, service), _replicas(seen, service)
    return ServiceSeen(
        service,
        writer,
        _safe(seen, service, writer),
        _copies(seen, service, writer, holders),
        _drill(seen, service),
        _check(seen, service),
        _room(holders),
        _burst(seen, service, writer),
        holders,
        _partial(seen, service, writer),
    )


def _replicas(seen: MetricsView, service: Service) -> tuple[ReplicaReading, ...]:
    """The nodes that reported that they hold it, with the last report of those that are silent."""
    named = sorted({node for node, _ in seen.samples(metrics.EXPECTED, service.name)})
    return tuple(_replica(seen, service, node) for node in named)


def _replica(seen: MetricsView, service: Service, node: str) -> ReplicaReading:
    made, came, used, quota = (
        seen.known[node].one(it.full_name, backup=service.name)
        for it in (metrics.HELD_NEWEST, metrics.HELD_CAME, metrics.SIZE, metrics.QUOTA)
    )
    newest = min((it for it in (made, came) if it is not None), default=None)
    share = used / quota if used is not None and quota else None
    room = seen.said(node, "quota", "held", service.name) or "ok"
    return ReplicaReading(node, newest, share, node in seen.now_telling, room)


def _writer(seen: MetricsView, service: Service) -> str:
    """The node that last reported that it writes, in the highest epoch; the origin when none does.

    Only nodes that may ever write it count: any other node could make a late service look young.
    """
    trusted = seen.territory.trusted(service.name)
    found = [(it.value, node) for node, it in seen.samples(metrics.EPOCH, service.name) if node in trusted]
    return max(found)[1] if found else service.node


def _safe(seen: MetricsView, service: Service, writer: str) -> Reading:
    promised = float(service.rpo_seconds)
    told = {node: it.value for node, it in seen.samples(metrics.SAFE, service.name)}
    moment = told.get(writer)
    if moment is None:
        return _never_safe(seen, service, writer)
    age = seen.now - moment
    if age < -SKEW_SECONDS_MAX:
        return Reading("unknown", None, promised, alert="HorlogeFausse", where=writer)
    state = seen.state(writer, "backup-age", "written", service.name, of_age(age, promised))
    if state != "ok":
        return Reading(state, age, promised, alert=alert_of("backup-age", state), where=writer)
    return Reading("ok", max(0.0, age), promised)


def _partial(seen: MetricsView, service: Service, writer: str) -> Reading:
    """The writer reports both, that something is missing and since when."""
    state = seen.said(writer, "whole", "written", service.name)
    if state is None or state == "ok":
        return Reading(state or "unknown")
    since = seen.known[writer].one(metrics.UNSAFE.full_name, backup=service.name)
    age = None if since is None else max(0.0, seen.now - since)
    return Reading(state, age, alert=alert_of("whole", state), where=writer)


def _never_safe(seen: MetricsView, service: Service, writer: str) -> Reading:
    """A writer without a safe backup reports what it promised, and since when something waits for peers."""
    promised, never = float(service.rpo_seconds), "SauvegardeJamaisSure"
    begun = any(node == writer for node, _ in seen.samples(metrics.RPO, service.name))
    since = next((it.value for node, it in seen.samples(metrics.UNSAFE, service.name) if node == writer), None)
    if not begun or since is None:
        state = seen.state(writer, "first-backup", "written", service.name, "failed") if begun else "unknown"
        return Reading("failed" if state == "ok" else state, None, promised, alert=never, where=writer)
    state = seen.state(writer, "backup-age", "written", service.name, of_age(seen.now - since, promised))
    if state == "ok":
        return Reading("warning", None, promised, alert=never, where=writer)
    return Reading(state, None, promised, alert=alert_of("backup-age", state), where=writer)


def _copies(seen: MetricsView, service: Service, writer: str, holders: tuple[ReplicaReading, ...]) -> Reading:
    promised, since = float(service.copies), seen.now - FRESH_COPY * service.rpo_seconds
    answering = [it for it in holders if it.answers]
    if not answering:
        return Reading("unknown", None, promised, alert="CopiesInsuffisantes")
    shown = [it.node for it in answering if it.newest is not None and it.newest >= since]
    count = len(counting_replica_nodes(seen.territory, writer, shown))
    if count >= service.copies:
        return Reading("ok", float(count), promised)
    silent = len(holders) - len(answering)
    state: State = "unknown" if count + silent >= service.copies else "warning" if count else "failed"
    return Reading(state, float(count), promised, alert="CopiesInsuffisantes")


def _drill(seen: MetricsView, service: Service) -> Reading:
    """The last restore test that worked, wherever; how long it took is held against the promise."""
    said = {node: seen.said(node, "drill", "catalogue", service.name) for node in seen.known}
    wrong = next((node for node, state in said.items() if state == "failed"), "")
    found = alert_of("drill", "failed")
    done = max(((it.value, node) for node, it in seen.samples(metrics.DRILLED, service.name)), default=None)
    if done is None:
        return Reading("failed", None, alert=found, where=wrong) if wrong else Reading()
    moment, node = done
    took = seen.known[node].one(metrics.DRILL_SECONDS.full_name, backup=service.name)
    age, promised = max(0.0, seen.now - moment), float(service.rto_seconds)
    if wrong:
        return Reading("failed", age, promised, took, found, wrong)
    if took is not None and took > promised:
        return Reading("warning", age, promised, took, "TestRestaurationTropLent", node)
    state = seen.state(node, "drill", "catalogue", service.name, "warning" if is_late(DRILL_SECONDS, age) else "ok")
    return Reading(state, age, promised, took, *((alert_of("drill", state), node) if state != "ok" else ()))


def _check(seen: MetricsView, service: Service) -> Reading:
    """The last integrity check of any kind; its state is that of the worst check at the worst node."""
    found = [(it.value, it.labels.get("kind", ""), node) for node, it in seen.samples(metrics.CHECKED, service.name)]
    newest = max((moment for moment, _, _ in found), default=None)
    age = None if newest is None else max(0.0, seen.now - newest)
    aged = {node for at, kind, node in found if is_late(INTERVALS.get(kind, math.inf), seen.now - at)}
    answers = [
        (
            seen.state(node, check, role, service.name, "warning" if node in aged and check in AGEING else "ok"),
            check,
            node,
        )
        for role, checks in PROOFS.items()
        for check in checks
        for node in seen.known
        if seen.said(node, check, role, service.name) is not None
    ]
    state, check, node = min(answers, key=lambda it: ORDER.index(it[0]), default=("ok", "", ""))
    if state != "ok":
        return Reading(state, age, alert=alert_of(check, state), where=node)
    return Reading("ok", age) if found else Reading()


def _room(holders: tuple[ReplicaReading, ...]) -> Reading:
    """The fullest share at any peer that answers, of those that are worst."""
    known = [it for it in holders if it.answers and it.share is not None]
    if not known:
        return Reading()
    worst = min(known, key=lambda it: (ORDER.index(it.room), -(it.share or 0.0)))
    alert = alert_of("quota", worst.room) if worst.room != "ok" else ""
    return Reading(worst.room, worst.share, alert=alert, where=worst.node)


def _burst(seen: MetricsView, service: Service, writer: str) -> Reading:
    """How much of the last backup was new. Not judged here: that a first backup is all new is known to the alert."""
    answer = seen.known.get(writer, LastAnswer())
    new, all_of_it = (answer.one(it.full_name, backup=service.name) for it in (metrics.NEW_BYTES, metrics.BYTES))
    return Reading("ok", new / all_of_it) if new is not None and all_of_it else Reading()
