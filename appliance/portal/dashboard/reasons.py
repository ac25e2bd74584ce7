"""Why a town is not well: by the checks that its nodes made, by silent nodes, by readings, by alerts. Pure.

Each reason has the name of an alert, and so a page that says what to do. A problem that two sources report is shown
once, at its worst.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from appliance.monitor.checks import CHECKS, alert_of
from appliance.monitor.metrics import CHECK, LACKING, LOOKED, STATES
from appliance.monitor.states import ORDER, State
from appliance.monitor.status import AGENT_LOOKS_WITHIN_SECONDS
from appliance.portal.dashboard.names import CHIPS, ON_BATTERY, POWER_ANSWERS, UPS_STATUS, ZONES
from appliance.portal.dashboard.observations import Alert, LastAnswer, Sample, WatchedNode
from appliance.portal.dashboard.readings import ServiceSeen
from appliance.territory.model import Territory

HOT_CELSIUS = 80.0
NAMES: dict[int, State] = {STATES[name]: name for name in ORDER}
SILENT, MUTE, STOPPED = "SiteInjoignable", "MesuresMuettes", "AgentArrete"
OF_SEVERITY: dict[str, State] = {"critical": "failed", "warning": "warning", "digest": "ok"}
_FAMILIES = (
    (SILENT, "MairieInjoignable"),
    ("SauvegardeEnRetard", "SauvegardeTresEnRetard", "SauvegardeJamaisSure"),
    ("QuotaPresquePlein", "QuotaPlein"),
    ("TestRestaurationEnRetard", "TestRestaurationEchoue"),
    ("CertificatBientotPerime", "CertificatUrgent"),
)
FAMILY = {alert: family[0] for family in _FAMILIES for alert in family}
"""Alerts that say the same of the same thing, one louder than the other."""


@dataclass(frozen=True)
class Reason:
    """`subject` is the service or the node that it is about; `nodes` say so. `since`: UTC seconds, when it is known.
    `summary`: what Prometheus says of an alert; `why`: what a call ended with."""

    state: State
    alert: str
    subject: str
    nodes: tuple[str, ...] = ()
    since: float | None = None
    summary: str = ""
    why: str = ""


@dataclass(frozen=True)
class CheckSeen:
    """The answer of one check as the node reported it. A check for which the machine has nothing is unknown and does
    not count: `appliance doctor` leaves it out of its verdict, too."""

    check: str
    role: str
    subject: str
    state: State
    counts: bool

    @property
    def alert(self) -> str:
        """The alert whose page says what to do; "" of a check that is not known here, as of a newer node."""
        return alert_of(self.check, self.state) if self.check in CHECKS else ""


def checks_of(answer: LastAnswer) -> tuple[CheckSeen, ...]:
    """All that the node told of its checks, worst first."""
    found = (_check_seen(it) for it in answer.all(CHECK.full_name))
    return tuple(sorted(found, key=lambda it: (ORDER.index(it.state), it.role, it.subject, it.check)))


def _check_seen(sample: Sample) -> CheckSeen:
    labels, state = sample.labels, NAMES.get(int(sample.value), "unknown")
    return CheckSeen(labels["check"], labels["role"], labels["subject"], state, sample.value != LACKING)


def of_node(name: str, watched: WatchedNode, now: float, *, fresh: bool) -> Iterator[Reason]:
    """The problems of the node itself, and those that it reports of others; `fresh` whether anybody asked it lately."""
    if not fresh:
        yield Reason("unknown", SILENT, name, (name,), watched.agent.answered)
        return
    yield from _silence(name, watched)
    if watched.machine and watched.machine.answers:
        yield from _machine(name, watched.machine)
    if not watched.agent.answers:
        return
    looked = watched.agent.one(LOOKED.full_name)
    if looked is None or now - looked > AGENT_LOOKS_WITHIN_SECONDS:
        yield Reason("failed", STOPPED, name, (name,), looked)
    for it in checks_of(watched.agent):
        if it.state != "ok" and it.counts and it.alert:
            yield Reason(it.state, it.alert, it.subject, (name,))


def _silence(name: str, watched: WatchedNode) -> Iterator[Reason]:
    agent, machine = watched.agent, watched.machine
    if agent.answers:
        return
    machine_answers = machine is not None and machine.answers
    alert: tuple[State, str] = ("warning", MUTE) if machine_answers else ("failed", SILENT)
    # Since it last told something: from then on nothing is known of it.
    yield Reason(*alert, name, (name,), agent.answered or agent.since, why=agent.why)


def _machine(name: str, machine: LastAnswer) -> Iterator[Reason]:
    if on_battery(machine):
        yield Reason("failed", "SurBatterie", name, (name,))
    if any(it.value == 0 for it in machine.all(POWER_ANSWERS)):
        yield Reason("warning", "CourantNonMesure", name, (name,))
    heat = celsius(machine)
    if heat is not None and heat > HOT_CELSIUS:
        yield Reason("warning", "Surchauffe", name, (name,))


def on_battery(machine: LastAnswer) -> bool:
    return any(it.value == 1 for it in machine.all(UPS_STATUS, flag=ON_BATTERY))


def celsius(machine: LastAnswer) -> float | None:
    """The warmest place of a machine; None where it measures none."""
    chips = [it.value for it in machine.all(CHIPS)]
    return max(chips or (it.value for it in machine.all(ZONES)), default=None)


def of_service(seen: ServiceSeen) -> Iterator[Reason]:
    """The problems in the readings; a measure that nobody takes is no reason, but not to know of its copies is one."""
    for reading in (seen.safe, seen.copies):
        if reading.state != "ok":
            nodes = seen.silent if reading is seen.copies else (reading.where,) if reading.where else ()
            yield Reason(reading.state, reading.alert, seen.service.name, nodes)
    for reading in (seen.drill, seen.check, seen.room, seen.partial):
        if reading.state not in ("ok", "unknown"):
            yield Reason(reading.state, reading.alert, seen.service.name, (reading.where,))


def of_alert(alert: Alert) -> Reason:
    labels = alert.labels
    nodes = tuple(labels[it] for it in ("peer", "node") if labels.get(it))[:1]
    state = OF_SEVERITY.get(labels.get("severity", ""), "warning")
    return Reason(state, alert.name, subject_of(alert), nodes, alert.since, alert.summary)


def subject_of(alert: Alert) -> str:
    """The service that an alert is about, else the node, else the site, else nothing."""
    return next((alert.labels[it] for it in ("backup", "subject", "node", "site") if alert.labels.get(it)), "")


def site_of(territory: Territory, subject: str, nodes: Iterable[str] = ()) -> str:
    """The site that a reason belongs to: the town whose service it is, or where the node stands; "" for none."""
    if subject in territory.services:
        subject = territory.services[subject].node
    for node in (subject, *nodes):
        if node in territory.nodes:
            return territory.nodes[node].site
    return subject if subject in territory.sites else ""


def merged(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """The same said by many is said once, at its worst, by all who say it; worst first."""
    found: dict[tuple[str, str], Reason] = {}
    for it in reasons:
        key = (FAMILY.get(it.alert, it.alert), it.subject)
        found[key] = _both(found[key], it) if key in found else it
    return tuple(sorted(found.values(), key=lambda it: (ORDER.index(it.state), it.alert, it.subject)))


def _both(one: Reason, other: Reason) -> Reason:
    worse, better = sorted((one, other), key=lambda it: ORDER.index(it.state))
    return replace(
        worse,
        nodes=tuple(dict.fromkeys((*one.nodes, *other.nodes))),
        since=worse.since if worse.since is not None else better.since,
        summary=worse.summary or (better.summary if better.alert == worse.alert else ""),
        why=worse.why or better.why,
    )
