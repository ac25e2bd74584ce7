"""What is seen of one service, each measure with its state. Pure.

Destinations are believed, the origin is asked: how many copies are fresh is counted from what the peers that answer now
show, each in a failure domain of its own. A moment counts whoever told it and whenever, since a silent node's last word
stays true; how full or how hot something is now, only who answers now can tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from appliance.backup.proofs.proof_times import CHECK_SECONDS, DRILL_SECONDS, SCRUB_SECONDS, VERIFY_SECONDS
from appliance.clock import SKEW_SECONDS_MAX
from appliance.monitor import metrics
from appliance.monitor.held import PROOF_LATE, QUOTA_WARNING
from appliance.monitor.states import LATE, ORDER, TOO_LATE, State
from appliance.portal.dashboard.seen import Heard, Present, Told
from appliance.territory.domains import counting_holders
from appliance.territory.model import Service, Territory

FRESH_COPY = 2.0
"""Within how many RPO a copy is fresh, as `backup:fresh_copies:count` counts."""
CHECKS_LATE = {
    kind: PROOF_LATE * each
    for kind, each in (("blobs", SCRUB_SECONDS), ("data", VERIFY_SECONDS), ("repository", CHECK_SECONDS))
}
"""When a check of a kind is late, as the alert `VerificationEnRetard` has it."""


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
class Holder:
    """A peer that holds a service, or should, and how full its share is. `newest`: when its newest copy was made, UTC
    seconds, and not after it came: the clock of a writer that is ahead makes nothing fresh."""

    node: str
    newest: float | None
    share: float | None
    answers: bool
    short: float = QUOTA_WARNING
    """The share from which on it will not last."""


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
    holders: tuple[Holder, ...] = ()
    partial: Reading = Reading()
    """Whether its newest backup lacks something; the value is since when, in seconds."""

    @property
    def silent(self) -> tuple[str, ...]:
        return tuple(it.node for it in self.holders if not it.answers)

    @property
    def state(self) -> State:
        """Of what every service must show; what a machine need not measure does not make it worse."""
        must = (self.safe.state, self.copies.state)
        may = (it.state for it in (self.drill, self.check, self.room, self.partial) if it.state != "unknown")
        return min((*must, *may), key=ORDER.index)


@dataclass(frozen=True)
class Sight:
    """One look by `territory`: `known` is what every node told at last, `now_telling` only of those that answer."""

    territory: Territory
    known: Mapping[str, Heard]
    now_telling: Mapping[str, Heard]
    now: float

    def told(self, metric: metrics.Metric, service: str) -> Iterator[tuple[str, Told]]:
        for node, heard in self.known.items():
            yield from ((node, it) for it in heard.all(metric.full_name, backup=service))


def sight(territory: Territory, present: Present, now: float) -> Sight:
    known = {name: it.agent for name, it in present.nodes.items() if name in territory.nodes}
    telling = {name: it for name, it in known.items() if it.answers and present.is_fresh(now)}
    return Sight(territory, known, telling, now)


def read(seen: Sight, service: Service) -> ServiceSeen:
    writer, holders = _writer(seen, service), _holders(seen, service)
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


def _holders(seen: Sight, service: Service) -> tuple[Holder, ...]:
    """Whoever said that it holds it, the last word of who is silent included."""
    named = sorted({node for node, _ in seen.told(metrics.EXPECTED, service.name)})
    return tuple(_holder(seen.known[node], service, node, answers=node in seen.now_telling) for node in named)


def _holder(heard: Heard, service: Service, node: str, *, answers: bool) -> Holder:
    made, came, used, quota, short = (
        heard.one(it.full_name, backup=service.name)
        for it in (metrics.HELD_NEWEST, metrics.HELD_CAME, metrics.SIZE, metrics.QUOTA, metrics.SHORT)
    )
    newest = min((it for it in (made, came) if it is not None), default=None)
    share = used / quota if used is not None and quota else None
    return Holder(node, newest, share, answers, short / quota if short and quota else QUOTA_WARNING)


def _writer(seen: Sight, service: Service) -> str:
    """Who said last that it writes, in the highest epoch; the origin when nobody does.

    Only those are heard who may ever write it: any other node could make a late service look young.
    """
    trusted = seen.territory.trusted(service.name)
    found = [(it.value, node) for node, it in seen.told(metrics.EPOCH, service.name) if node in trusted]
    return max(found)[1] if found else service.node


def _safe(seen: Sight, service: Service, writer: str) -> Reading:
    promised = float(service.rpo_seconds)
    told = {node: it.value for node, it in seen.told(metrics.SAFE, service.name)}
    moment = told.get(writer)
    if moment is None:
        return _never_safe(seen, service, writer)
    age = seen.now - moment
    if age < -SKEW_SECONDS_MAX:
        return Reading("unknown", None, promised, alert="HorlogeFausse", where=writer)
    if age > LATE * promised:
        late = age > TOO_LATE * promised
        alert = "SauvegardeTresEnRetard" if late else "SauvegardeEnRetard"
        return Reading("failed" if late else "warning", age, promised, alert=alert, where=writer)
    return Reading("ok", max(0.0, age), promised)


def _partial(seen: Sight, service: Service, writer: str) -> Reading:
    """Whoever writes it says both, that something is missing and since when."""
    heard, named = seen.known.get(writer), {"check": "whole", "role": "written", "subject": service.name}
    state = heard.one(metrics.CHECK.full_name, **named) if heard else None
    if heard is None or state is None:
        return Reading()
    if state == metrics.STATES["ok"]:
        return Reading("ok")
    since = heard.one(metrics.UNSAFE.full_name, backup=service.name)
    age = None if since is None else max(0.0, seen.now - since)
    return Reading("warning", age, alert="SauvegardePartielle", where=writer)


def _never_safe(seen: Sight, service: Service, writer: str) -> Reading:
    """Who writes it and has nothing safe to show says what it promised, and since when something waits for peers."""
    promised, never = float(service.rpo_seconds), "SauvegardeJamaisSure"
    begun = any(node == writer for node, _ in seen.told(metrics.RPO, service.name))
    since = next((it.value for node, it in seen.told(metrics.UNSAFE, service.name) if node == writer), None)
    if not begun or since is None:
        return Reading("failed" if begun else "unknown", None, promised, alert=never, where=writer)
    waits = seen.now - since
    if waits > TOO_LATE * promised:
        return Reading("failed", None, promised, alert="SauvegardeTresEnRetard", where=writer)
    alert = "SauvegardeEnRetard" if waits > LATE * promised else never
    return Reading("warning", None, promised, alert=alert, where=writer)


def _copies(seen: Sight, service: Service, writer: str, holders: tuple[Holder, ...]) -> Reading:
    promised, since = float(service.copies), seen.now - FRESH_COPY * service.rpo_seconds
    answering = [it for it in holders if it.answers]
    if not answering:
        return Reading("unknown", None, promised, alert="CopiesInsuffisantes")
    shown = [it.node for it in answering if it.newest is not None and it.newest >= since]
    count = len(counting_holders(seen.territory, writer, shown))
    if count >= service.copies:
        return Reading("ok", float(count), promised)
    silent = len(holders) - len(answering)
    state: State = "unknown" if count + silent >= service.copies else "warning" if count else "failed"
    return Reading(state, float(count), promised, alert="CopiesInsuffisantes")


def _drill(seen: Sight, service: Service) -> Reading:
    """The last restore test that worked, wherever; how long it took is held against the promise."""
    wrong = [node for node, it in seen.told(metrics.DRILL_WRONG, service.name) if it.value]
    done = max(((it.value, node) for node, it in seen.told(metrics.DRILLED, service.name)), default=None)
    if done is None:
        return Reading("failed", None, alert="TestRestaurationEchoue", where=wrong[0]) if wrong else Reading()
    moment, node = done
    took = seen.known[node].one(metrics.DRILL_SECONDS.full_name, backup=service.name)
    age, promised = max(0.0, seen.now - moment), float(service.rto_seconds)
    if wrong:
        return Reading("failed", age, promised, took, "TestRestaurationEchoue", wrong[0])
    if took is not None and took > promised:
        return Reading("warning", age, promised, took, "TestRestaurationTropLent", node)
    if age > PROOF_LATE * DRILL_SECONDS:
        return Reading("warning", age, promised, took, "TestRestaurationEnRetard", node)
    return Reading("ok", age, promised, took)


def _check(seen: Sight, service: Service) -> Reading:
    """The last integrity check of any kind; its state is that of the worst kind at the worst node."""
    found = [(it.value, it.labels.get("kind", ""), node) for node, it in seen.told(metrics.CHECKED, service.name)]
    newest = max((moment for moment, _, _ in found), default=None)
    age = None if newest is None else max(0.0, seen.now - newest)
    for node, it in seen.told(metrics.ERRORS, service.name):
        if it.value:
            rotten = it.labels.get("kind") == "blobs"
            return Reading("failed", age, alert="CopieEndommagee" if rotten else "VerificationEnErreur", where=node)
    late = next((node for at, kind, node in found if seen.now - at > CHECKS_LATE.get(kind, math.inf)), "")
    if late:
        return Reading("warning", age, alert="VerificationEnRetard", where=late)
    return Reading("ok", age) if found else Reading()


def _room(holders: tuple[Holder, ...]) -> Reading:
    """The fullest share at any peer that answers, of those that will not last where there is one."""
    known = [(it.share >= it.short, it.share, it.node) for it in holders if it.answers and it.share is not None]
    if not known:
        return Reading()
    full, node = max((share, node) for _, share, node in known)
    if full >= 1:
        return Reading("failed", full, alert="QuotaPlein", where=node)
    short, share, node = max(known)
    if short:
        return Reading("warning", share, alert="QuotaPresquePlein", where=node)
    return Reading("ok", share, where=node)


def _burst(seen: Sight, service: Service, writer: str) -> Reading:
    """How much of the last backup was new. Not judged here: that a first backup is all new is known to the alert."""
    heard = seen.known.get(writer, Heard())
    new, all_of_it = (heard.one(it.full_name, backup=service.name) for it in (metrics.NEW_BYTES, metrics.BYTES))
    return Reading("ok", new / all_of_it) if new is not None and all_of_it else Reading()
