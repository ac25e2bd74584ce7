"""The measurements of a node, as samples for Prometheus. Pure, over one thorough view and what was judged of it."""

from __future__ import annotations

from collections.abc import Iterator

from appliance import __version__
from appliance.monitor import metrics
from appliance.monitor.failover import is_told
from appliance.monitor.failover_view import ServiceView
from appliance.monitor.held import silent_replica_nodes, whole_came
from appliance.monitor.metrics import STATES, Metric, Sample
from appliance.monitor.states import ORDER, Judged, Reason, State
from appliance.monitor.status import Status
from appliance.monitor.view import Attempt, Held, Now, Readable, View, Written
from appliance.territory.model import Territory

type Measured = Iterator[Sample | None]


def measure(view: View, status: Status, territory: Territory, now: Now) -> tuple[Sample, ...]:
    """Everything that is known; what is not has no sample."""
    found = [*_node(view, territory, now), *_checks(status), *_works(view), *_failover(view, now)]
    for written in view.written:
        found += _written(written, view)
    for held in view.held:
        found += (*_held(held, view, now), *_lock(held, view))
    for readable in view.readable:
        found += _readable(readable, view)
    return tuple(sample for sample in found if sample is not None)


def state_of(judged: Judged, check: str) -> tuple[State, Reason | None]:
    """The answer of `check` about what was judged, and the worst reason for it."""
    reasons = [it for it in (*judged.reasons, *judged.lacks) if it.check == check]
    worst = min(reasons, key=lambda it: ORDER.index(it.state), default=None)
    return (worst.state if worst else "ok"), worst


def checks_in(judged: Judged) -> tuple[str, ...]:
    """The checks that were made of it, and those that this machine cannot make."""
    return (*judged.checks, *(it.check for it in judged.lacks))


def _sample(metric: Metric, value: float | None, *labels: str) -> Sample | None:
    return None if value is None else Sample(metric.name, labels, float(value))


def _node(view: View, territory: Territory, now: Now) -> Measured:
    node = territory.nodes[view.node]
    site = territory.sites[node.site]
    yield _sample(metrics.BUILD, 1, __version__)
    yield _sample(metrics.COMMUNE, 1, site.title, site.insee, site.name, ",".join(node.roles))
    yield _sample(metrics.LOOKED, now.wall)
    yield _sample(metrics.SERIAL, view.serial)
    yield _sample(metrics.ISSUED, view.issued)
    yield _sample(metrics.DISK_FREE, view.disk_free)
    yield _sample(metrics.DISK_SIZE, view.machine.disk_size)
    yield _sample(metrics.CERTIFICATE, view.machine.certificate_ends)
    yield _sample(metrics.UPDATED, view.machine.updated)


def _checks(status: Status) -> Measured:
    for judged in status.judged:
        for check in checks_in(judged):
            state, reason = state_of(judged, check)
            value = metrics.LACKING if reason in judged.lacks else STATES[state]
            yield _sample(metrics.CHECK, value, check, judged.role, judged.subject)


def _works(view: View) -> Measured:
    """One sample for each kind of work as a whole; how it went with each peer is in the checks."""
    for name, attempt in view.attempts.items():
        kind, service, *peer = name.split(" ")
        if not peer:
            yield _sample(metrics.WORK_FAILURES, attempt.failures, kind, service)


def _written(written: Written, view: View) -> Measured:
    name = written.service
    attempt = view.last("backup", name)
    if not written.ours or written.grant is None:
        return
    yield _sample(metrics.RPO, written.rpo_seconds, name)
    yield _sample(metrics.RTO, written.rto_seconds or None, name)
    yield _sample(metrics.EPOCH, written.grant.epoch, name)
    for recipient, made in written.envelopes.items():
        yield _sample(metrics.ENVELOPE, made, name, recipient)
    safe = written.safe_newest
    yield _sample(metrics.NEWEST, written.newest.as_of if written.newest else None, name)
    yield _sample(metrics.SAFE, safe.as_of if safe else None, name)
    # Where none is safe, how long that has been so is what counts: since the first that should be.
    yield _sample(metrics.UNSAFE, written.unsafe_since or None, name)
    yield _sample(metrics.COPIES, len(written.safety.counted), name)
    yield _sample(metrics.PROMISED, written.safety.promised, name)
    for peer in written.safety.counted:
        yield _sample(metrics.COUNTED, 1, name, peer)
    if attempt is not None:
        yield from _last_run(name, attempt)


def _last_run(name: str, attempt: Attempt) -> Measured:
    yield _sample(metrics.RUN, attempt.time, name)
    yield _sample(metrics.SUCCESS, attempt.ok_time, name)
    if not attempt.failures and attempt.ok_age is not None:
        yield _sample(metrics.DURATION, attempt.age - attempt.ok_age, name)
    yield _sample(metrics.FILES, attempt.figures.get("files"), name)
    yield _sample(metrics.BYTES, attempt.figures.get("bytes"), name)
    yield _sample(metrics.NEW_BYTES, attempt.figures.get("new_bytes"), name)
    yield _sample(metrics.LEFT_OUT, attempt.left_out_count, name)


def _held(held: Held, view: View, now: Now) -> Measured:
    copy = (held.service, view.node)
    newest = held.newest
    yield _sample(metrics.EXPECTED, int(held.expected), *copy)
    yield _sample(metrics.HELD_RPO, held.rpo_seconds, *copy)
    yield _sample(metrics.HELD_NEWEST, newest.as_of if newest else None, *copy)
    yield _sample(metrics.HELD_CAME, whole_came(held, now) if newest else None, *copy)
    yield _sample(metrics.HELD_EPOCH, newest.epoch if newest else None, *copy)
    yield _sample(metrics.SIZE, held.used_bytes, *copy)
    yield _sample(metrics.QUOTA, held.ceiling_bytes or held.quota_bytes, *copy)
    yield _sample(metrics.SHORT, held.short_bytes, *copy)
    for peer, _, _ in silent_replica_nodes(held.service, view, now):
        yield _sample(metrics.HOLDER_SILENT, 1, held.service, peer)
    yield _sample(metrics.FORKS, len(held.forks), *copy)
    yield _sample(metrics.DAMAGED, len(held.damage), *copy)
    yield from _checked(held.service, "repository", view.last("check", held.service), "alarms")
    yield from _checked(held.service, "blobs", view.last("scrub", held.service), "damage")


def _lock(held: Held, view: View) -> Measured:
    lock, copy = held.lock, (held.service, view.node)
    if lock is None:
        return
    yield _sample(metrics.PROBED, lock.time, *copy)
    if lock.broken or lock.canary_seconds is not None:  # there was a locked generation to look at
        yield _sample(metrics.CANARY, int(not lock.broken), *copy)
    yield _sample(metrics.CANARY_AGE, lock.canary_seconds, *copy)
    if lock.canary_seconds is not None:  # there was a sealed file to try it on
        yield _sample(metrics.APPEND_ONLY, int(not lock.allowed), *copy)


def _readable(readable: Readable, view: View) -> Measured:
    name = readable.service
    catalogue, drill = view.last("catalogue", name), view.last("drill", name)
    yield _sample(metrics.INDEX_SIZE, readable.catalogue_bytes, name)
    if catalogue is not None:
        yield _sample(metrics.INDEXED, catalogue.ok_time, name)
        yield _sample(metrics.PATHS, catalogue.figures.get("paths"), name)
        if catalogue.mark == readable.newest.name and not catalogue.failures:
            yield _sample(metrics.INDEX_NEWEST, readable.newest.time, name)
    yield from _checked(name, "data", view.last("verify", name), "damaged")
    if drill is not None:
        wrong = drill.figures.get("wrong")
        yield _sample(metrics.DRILLED, None if wrong else drill.ok_time, name)
        yield _sample(metrics.DRILL_SECONDS, drill.figures.get("seconds"), name)
        yield _sample(metrics.DRILL_FILES, drill.figures.get("files"), name)
        yield _sample(metrics.DRILL_WRONG, wrong, name)


def _failover(view: View, now: Now) -> Measured:
    """A lease holder only while its report is fresh: the reports of a program that has ended are old."""
    seen = view.failover
    yield _sample(metrics.FAILOVER_LOOKED, seen.looked if seen.programs else None)
    yield _sample(metrics.UNHEARD, min((it.unheard_since for it in seen.services if it.unheard_since), default=None))
    for name, _ in seen.quarantined:
        yield _sample(metrics.QUARANTINED, 1, name)
    for service in seen.services:
        yield _sample(metrics.BRANCHES, len(service.branches), service.service)
        yield _sample(metrics.ORIGIN, 1, service.service, service.origin)
        if is_told(seen, service, now):
            yield from _stood(service, view.node)


def _stood(service: ServiceView, node: str) -> Measured:
    name = service.service
    yield _sample(metrics.ACTIVE, int(service.holder == node), name)
    yield _sample(metrics.NEWEST_EPOCH, service.newest_epoch or None, name)
    yield _sample(metrics.VACANT, service.vacant_since, name)
    yield _sample(metrics.AWAY, service.away_since, name)
    yield _sample(metrics.CONTESTED, service.contested_since, name)
    yield _sample(metrics.PAUSED, service.paused_since, name)


def _checked(service: str, kind: str, attempt: Attempt | None, counted: str) -> Measured:
    """An integrity check; what it `counted` are its errors. One that found some is no success."""
    if attempt is None:
        return
    errors = len(attempt.alarms) if counted == "alarms" else attempt.figures.get(counted)
    yield _sample(metrics.CHECKED, None if errors else attempt.ok_time, service, kind)
    yield _sample(metrics.ERRORS, errors, service, kind)
