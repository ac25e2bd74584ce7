"""How a service is divided between the nodes that may serve it, as one of them sees it; and whether it sees anything.
Pure.

A person must hear of each of these: waiting longer repairs nothing here, or it lasts longer than it should. A majority
of the voters names the lease holder; without one it is unknown, and that is said once, of the node.
"""

from __future__ import annotations

from collections.abc import Iterator

from appliance import typed
from appliance.monitor.checks import checks_of
from appliance.monitor.failover_view import FailoverView, ServiceView
from appliance.monitor.states import Judged, Reason, worst_first
from appliance.monitor.view import Now, View
from appliance.units import DAY, HOUR, MINUTE, format_duration

SILENT_SECONDS_MAX = 2 * MINUTE
"""For so long the program may say nothing, or no majority answer it."""
VACANT_SECONDS_MAX = 2 * MINUTE
"""A takeover takes a lease and some seconds."""
CONTESTED_SECONDS_MAX = 2 * MINUTE
"""A node that wins a service is granted its epoch within seconds, or lets go after half a minute."""
AWAY_SECONDS_MAX = DAY
"""Within a day there is a night, in which a service goes back to its origin if that is well."""
UNKEPT_SECONDS_MAX = 10 * MINUTE
"""A copy is made in minutes; after a try that failed it takes a person."""
UNSERVED_SECONDS_MAX = 5 * MINUTE
"""A start that fails once, as when a peer that has the newest is called too early, goes well by itself."""
PAUSED_SECONDS_MAX = HOUR
"""No pause lasts longer; somebody asks for one after the other."""
UNTOLD = Reason("unknown", "its lease holder is not known here.", "Type `appliance failover status`.", "holder")
LACKS = tuple(
    Reason("unknown", "no service that could be taken over or handed back has a program here.", check=check)
    for check in ("failover", "majority")
)


def judge_failover(view: View, now: Now) -> Iterator[Judged]:
    """Each service of which anything is told here."""
    for service in view.failover.services:
        told = is_told(view.failover, service, now)
        mine = service.service in view.failover.programs
        checks = checks_of("failover") if told else ("holder", "branch") if mine else ("branch",)
        of_now = _service_reasons(service, now) if told else (UNTOLD,) if mine else ()
        reasons = worst_first((*_branch_reasons(service, view.node, now), *of_now))
        yield Judged(service.service, "failover", _summary(service, told), reasons, _facts(service), checks)


def is_told(seen: FailoverView, service: ServiceView, now: Now) -> bool:
    """Whether what is told of it is of now: by a program that lives, and a majority that answers it."""
    return not _is_silent(seen, now) and bool(service.state) and service.holder is not None


def _is_silent(seen: FailoverView, now: Now) -> bool:
    return seen.looked is None or now.wall - seen.looked > SILENT_SECONDS_MAX


def silent_reason(seen: FailoverView, now: Now) -> Reason | None:
    """The reason when the program that runs services does not live; None while it does, or has nothing to run here."""
    if not seen.programs or not _is_silent(seen, now):
        return None
    ago = f"has not run for {format_duration(now.wall - seen.looked)}" if seen.looked else "never ran"
    what = f"the program that runs services {ago}: nothing is taken over or handed back by this node."
    return Reason("failed", what, seen.start, "failover")


def node_lacks(view: View) -> tuple[Reason, ...]:
    """The checks that this node cannot make of itself: without a program of a service it takes no part."""
    return () if view.failover.programs or view.failover.unread else LACKS


def node_reasons(view: View, now: Now) -> Iterator[Reason]:
    seen = view.failover
    for name, operator in seen.quarantined:
        who = f"by {operator}'s act" if operator else "by a signed act"
        ends = f"`appliance act sign quarantine {name} --days 0 {typed.BY_OPERATOR}`"
        revokes = f"`appliance node revoke {name} --reason WHY --key FILE`"
        found = f"Find out what is wrong with it. Once it is clean, {ends} ends the quarantine."
        remedy = f"{found} To revoke its keys: {revokes}."
        yield Reason("failed", f"{name} is in quarantine {who}: it serves nothing that can move.", remedy, "quarantine")
    if seen.unread:
        remedy = "Repair that file; until then nothing is taken over or handed back."
        yield Reason(
            "unknown", f"the list of services that it may serve cannot be read: {seen.unread}", remedy, "failover"
        )
    if not seen.programs:
        return
    if why := silent_reason(seen, now):
        yield why
        return
    silent = [it.unheard_since for it in seen.services if it.unheard_since is not None]
    if silent and now.wall - min(silent) > SILENT_SECONDS_MAX:
        since = format_duration(now.wall - min(silent))
        remedy = "Start the voters, or repair the connection to them: `appliance failover status`."
        yield Reason("failed", f"no majority of the voters has answered it for {since}.", remedy, "majority")


def _decided_by(service: ServiceView, epoch: int, here: str) -> str:
    if service.is_merged and service.writer not in ("", here):
        return (
            "It is merged where the service is written. Move it here, which loses nothing: "
            f"`appliance failover move {service.service} {here}`."
        )
    if service.is_merged:
        return f"Look first: `appliance failover merge {service.service} --branch {epoch} --dry-run`."
    return (
        "Two histories of a database are never merged: compare its dump there with the backups. Once that is done: "
        f"`appliance failover merge {service.service} --branch {epoch} --leave`."
    )


def _branch_reasons(service: ServiceView, here: str, now: Now) -> Iterator[Reason]:
    for epoch in service.branches:
        remedy = _decided_by(service, epoch, here)
        what = f"a branch, written here alone under epoch {epoch}, waits for a decision."
        yield Reason("warning", what, remedy, "branch")
    if service.unkept and _lasts(service.unkept_since, UNKEPT_SECONDS_MAX, now):
        since = format_duration(now.wall - (service.unkept_since or 0.0))
        what = (
            f"writes made here alone could not be saved as a branch for {since}; until then this node cannot serve it."
        )
        yield Reason("failed", what, service.unkept, "branch")
    elif service.state == "DIVERGED":
        remedy = "Nothing to do yet: once the branch is saved, it is reported here."
        yield Reason("warning", "writes made here alone are being saved as a branch.", remedy, "branch")


def _service_reasons(service: ServiceView, now: Now) -> Iterator[Reason]:
    name = service.service
    if _lasts(service.vacant_since, VACANT_SECONDS_MAX, now):
        since = format_duration(now.wall - (service.vacant_since or 0.0))
        remedy = (
            "See why: `appliance failover status`. If its origin is lost, at a standby: "
            f"`appliance failover promote {name} --act FILE`."
        )
        yield Reason("failed", f"it has had no lease holder for {since}.", remedy, "holder")
    if service.unserved and _lasts(service.unserved_since, UNSERVED_SECONDS_MAX, now):
        since = format_duration(now.wall - (service.unserved_since or 0.0))
        yield Reason(
            "failed", f"it should be served here, and could not be started for {since}.", service.unserved, "holder"
        )
    if _lasts(service.contested_since, CONTESTED_SECONDS_MAX, now):
        holder, writer = service.holder or "nobody", service.writer or "nobody"
        what = f"{holder} holds the lease, but the newest grant, of epoch {service.newest_epoch}, names {writer}."
        yield Reason("failed", what, "See `appliance failover status` at both; the grant decides.", "epoch")
    if _lasts(service.away_since, AWAY_SECONDS_MAX, now):
        since = format_duration(now.wall - (service.away_since or 0.0))
        remedy = f"See at {service.origin} why it is not handed back: `appliance failover status`. At once: "
        what = f"{service.holder} has held it for {since} in place of its origin, {service.origin}."
        yield Reason("warning", what, f"{remedy}`appliance failover handback {name}`.", "home")
    if _lasts(service.paused_since, PAUSED_SECONDS_MAX, now):
        since = format_duration(now.wall - (service.paused_since or 0.0))
        what = f"{service.paused_by} has kept it paused for {since}: no node takes it over meanwhile."
        yield Reason("warning", what, "Ask whether the pause is still needed; it ends by itself.", "pause")


def _lasts(since: float | None, seconds_max: float, now: Now) -> bool:
    return since is not None and now.wall - since > seconds_max


def _summary(service: ServiceView, told: bool) -> str:
    if not told:
        return "LEASE HOLDER NOT KNOWN"
    return f"held by {service.holder or 'NOBODY'}, epoch {service.newest_epoch}; here {service.state}"


def _facts(service: ServiceView) -> dict[str, object]:
    return {
        "here": service.state,
        "holder": service.holder,
        "home": service.origin,
        "grant_writer": service.writer,
        "newest_epoch": service.newest_epoch,
        "branches": list(service.branches),
    }
