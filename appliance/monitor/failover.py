"""How a service stands between the nodes that may serve it, as one of them sees it; and whether it sees anything. Pure.

Each of these is what a person must hear of: waiting longer mends nothing here, or it lasts longer than it should.
Who holds a service is told by a majority of the voters; without one it is unknown, and that is said once, of the node.
"""

from __future__ import annotations

from collections.abc import Iterator

from appliance.monitor.checks import checks_of
from appliance.monitor.states import Judged, Reason, worst_first
from appliance.monitor.stood import Failover, Stood
from appliance.monitor.view import Now, View
from appliance.units import DAY, HOUR, MINUTE, format_duration

SILENT_SECONDS_MAX = 2 * MINUTE
"""For so long the program may say nothing, or no majority answer it."""
VACANT_SECONDS_MAX = 2 * MINUTE
"""A takeover takes a lease and some seconds."""
CONTESTED_SECONDS_MAX = 2 * MINUTE
"""Whoever wins a service is granted its epoch within seconds, or lets go after half a minute."""
AWAY_SECONDS_MAX = DAY
"""Within a day there is a night, in which a service goes home if its home is well."""
UNKEPT_SECONDS_MAX = 10 * MINUTE
"""A copy is made in minutes; after a try that failed it takes a person."""
UNSERVED_SECONDS_MAX = 5 * MINUTE
"""What fails once, as when a peer that has the newest is called too early, goes well by itself."""
PAUSED_SECONDS_MAX = HOUR
"""No pause lasts longer; somebody asks for one after the other."""
UNTOLD = Reason("unknown", "its lease holder is not known here.", "Type: appliance failover status", "holder")
LACKS = tuple(
    Reason("unknown", "no service that could be taken over or handed back has a program here.", check=check)
    for check in ("failover", "majority")
)


def judge_failover(view: View, now: Now) -> Iterator[Judged]:
    """Each service of which anything is told here."""
    for stood in view.failover.services:
        told = is_told(view.failover, stood, now)
        mine = stood.service in view.failover.programs
        checks = checks_of("failover") if told else ("holder", "branch") if mine else ("branch",)
        of_now = _service_reasons(stood, now) if told else (UNTOLD,) if mine else ()
        reasons = worst_first((*_branch_reasons(stood, now), *of_now))
        yield Judged(stood.service, "failover", _summary(stood, told), reasons, _facts(stood), checks)


def is_told(seen: Failover, stood: Stood, now: Now) -> bool:
    """Whether what is told of it is of now: by a program that lives, and a majority that answers it."""
    return not _is_silent(seen, now) and bool(stood.state) and stood.holder is not None


def _is_silent(seen: Failover, now: Now) -> bool:
    return seen.looked is None or now.wall - seen.looked > SILENT_SECONDS_MAX


def silent_reason(seen: Failover, now: Now) -> Reason | None:
    """That the program which runs services does not live; None while it does, or has nothing to run here."""
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
        ends = f"appliance act sign quarantine {name} --days 0"
        remedy = f"Once it is clean, {ends} ends the quarantine. To revoke its keys: appliance node revoke"
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


def _decided_by(stood: Stood, epoch: int) -> str:
    if stood.is_merged:
        return f"Look first: appliance failover merge {stood.service} --branch {epoch} --dry-run"
    return (
        "Two histories of a database are never merged: compare its dump there with the backups. Then: "
        f"appliance failover merge {stood.service} --branch {epoch} --leave"
    )


def _branch_reasons(stood: Stood, now: Now) -> Iterator[Reason]:
    for epoch in stood.branches:
        remedy = _decided_by(stood, epoch)
        what = f"a branch, written here alone under epoch {epoch}, waits for a decision."
        yield Reason("warning", what, remedy, "branch")
    if stood.unkept and _lasts(stood.unkept_since, UNKEPT_SECONDS_MAX, now):
        since = format_duration(now.wall - (stood.unkept_since or 0.0))
        what = (
            f"writes made here alone could not be saved as a branch for {since}; until then this node cannot serve it."
        )
        yield Reason("failed", what, stood.unkept, "branch")
    elif stood.state == "DIVERGED":
        remedy = "Nothing to do yet: once the branch is saved, it is reported here."
        yield Reason("warning", "writes made here alone are being saved as a branch.", remedy, "branch")


def _service_reasons(stood: Stood, now: Now) -> Iterator[Reason]:
    name = stood.service
    if _lasts(stood.vacant_since, VACANT_SECONDS_MAX, now):
        since = format_duration(now.wall - (stood.vacant_since or 0.0))
        remedy = (
            f"See why: `appliance failover status`. If its origin is lost: appliance failover promote {name} --act FILE"
        )
        yield Reason("failed", f"it has had no lease holder for {since}.", remedy, "holder")
    if stood.unserved and _lasts(stood.unserved_since, UNSERVED_SECONDS_MAX, now):
        since = format_duration(now.wall - (stood.unserved_since or 0.0))
        yield Reason(
            "failed", f"it should be served here, and could not be started for {since}.", stood.unserved, "holder"
        )
    if _lasts(stood.contested_since, CONTESTED_SECONDS_MAX, now):
        holder, writer = stood.holder or "nobody", stood.writer or "nobody"
        what = f"{holder} holds the lease, but the newest grant, of epoch {stood.newest_epoch}, names {writer}."
        yield Reason("failed", what, "See `appliance failover status` at both; the grant decides.", "epoch")
    if _lasts(stood.away_since, AWAY_SECONDS_MAX, now):
        since = format_duration(now.wall - (stood.away_since or 0.0))
        remedy = f"See at {stood.home} why it is not handed back: `appliance failover status`. At once: "
        what = f"{stood.holder} has held it for {since} in place of its origin, {stood.home}."
        yield Reason("warning", what, f"{remedy}appliance failover handback {name}", "home")
    if _lasts(stood.paused_since, PAUSED_SECONDS_MAX, now):
        since = format_duration(now.wall - (stood.paused_since or 0.0))
        what = f"{stood.paused_by} has kept it paused for {since}: no node takes it over meanwhile."
        yield Reason("warning", what, "Ask whether the pause is still needed; it ends by itself.", "pause")


def _lasts(since: float | None, seconds_max: float, now: Now) -> bool:
    return since is not None and now.wall - since > seconds_max


def _summary(stood: Stood, told: bool) -> str:
    if not told:
        return "LEASE HOLDER NOT KNOWN"
    return f"held by {stood.holder or 'NOBODY'}, epoch {stood.newest_epoch}; here {stood.state}"


def _facts(stood: Stood) -> dict[str, object]:
    return {
        "here": stood.state,
        "holder": stood.holder,
        "home": stood.home,
        "grant_writer": stood.writer,
        "newest_epoch": stood.newest_epoch,
        "branches": list(stood.branches),
    }
