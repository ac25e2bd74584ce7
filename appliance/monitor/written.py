"""How a service is that this node writes: safe, how old, who lacks it and why, what the last run left out. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from appliance import typed
from appliance.backup.writer.left_out_reasons import how_to_accept, is_missing, matters
from appliance.backup.writer.schedule import Due, due
from appliance.clock import SKEW_SECONDS_MAX, utc_text
from appliance.monitor.checks import checks_of
from appliance.monitor.credentials import envelope_reasons
from appliance.monitor.partial import AT_ORIGIN, partial_facts, partial_reasons, without
from appliance.monitor.states import Judged, Reason, State, failed, failures, too_old, worst_first
from appliance.monitor.view import Attempt, Now, PutAside, View, Written, last_backup
from appliance.units import format_bytes, format_count, format_duration

IS_COMING = "Nothing to do yet: `appliance status --watch` shows when it is there."
NAMED_MAX = 3
"""How many of the files left out are named in a sentence."""


def judge_written(written: Written, view: View, now: Now) -> Judged:
    attempt = view.last("backup", written.service)
    return Judged(
        written.service,
        "written",
        _written_summary(written, view),
        worst_first(_written_reasons(written, attempt, view, now)),
        _written_facts(written, attempt, view, now),
        checks=checks_of("written") if written.ours else ("grant",),
    )


def _written_summary(written: Written, view: View) -> str:
    if written.grant is None:
        return "WAITING FOR A GRANT"
    if written.given_to:
        return f"given to {written.given_to}, which continues it: nothing to do here"
    if not written.ours:
        return f"written by {written.grant.writer} in epoch {written.grant.epoch}"
    if written.newest is None:
        return "NEVER BACKED UP" + (", the first backup is running" if view.runs("backup", written.service) else "")
    safety = written.safety
    by = ", ".join(safety.counted) or "nobody"
    if safety.safe:
        return f"safe: {len(safety.counted)} of {safety.promised} ({by}){without(written.accepted)}"
    if not safety.whole:
        return f"PARTIAL: {len(safety.counted)} of {safety.promised} ({by})"
    return f"NOT SAFE YET: {len(safety.counted)} of {safety.promised} ({by})"


def _written_reasons(written: Written, attempt: Attempt | None, view: View, now: Now) -> Iterator[Reason]:
    if written.given_to:
        return
    if written.starts_over:
        what = "a node that was revoked could know its key, so no peer takes anything of it."
        yield Reason("failed", what, _begins(written.service), "grant")
    if not written.ours:
        yield _without_grant(written, view.node)
        return
    sentence, remedy = written.overtaken
    if sentence:
        yield Reason("failed", sentence, remedy, "lineage")
    sentence, remedy = written.orphaned
    if sentence:
        yield Reason("warning", sentence, remedy, "lineage")
    running = view.runs("backup", written.service)
    if written.newest is None:
        state: State = "warning" if running else "failed"
        yield Reason(
            state,
            "there is no generation yet.",
            IS_COMING if running else f"Type `{typed.run(written.service)}`.",
            "first-backup",
        )
    else:
        yield from _age_reasons(written, now)
        yield from _missing_reasons(written, view)
        yield from partial_reasons(written.newest, written.partial, AT_ORIGIN.format(written.service))
    yield from envelope_reasons(written, now)
    if written.shrunken:
        yield _shrunken_reason(written)
    if attempt is not None and attempt.failures and _still_counts(written, attempt):
        yield failed(attempt, "the last backup", "backup-run")
    if attempt is not None:
        yield from _left_out_reasons(written, attempt)
        remedy = f"It is retried within a week. At once, with the remedy: `{typed.run(written.service)}`."
        yield from (Reason("warning", alarm, remedy, "left-out") for alarm in attempt.alarms)
    yield from map(_unsaved_reason, (it for it in written.trees if it.unsaved))
    yield from failures(("tidy",), written.service, view)


def _unsaved_reason(tree: PutAside) -> Reason:
    """It stays until a person has looked: nothing of it is anywhere else, as far as is known."""
    files = f"{format_count(tree.unsaved, 'file')} ({format_bytes(tree.unsaved_bytes)})"
    stays = "It stays" if tree.unsaved == 1 else "They stay"
    line = f"rm -r {shlex.quote(tree.folder)}"
    return Reason(
        "warning",
        f"a move put aside {files} of which no backup or branch is known, such as {tree.first}.",
        f"{stays} in {tree.folder}. Copy what is needed into the service; then, as root: `{line}`.",
        "left-out",
    )


def _shrunken_reason(written: Written) -> Reason:
    """It stays failed for as long as nobody has looked: the archives that have everything roll off meanwhile."""
    return Reason(
        "failed",
        f"most of it is missing at its source: {written.shrunken}.",
        "Check whether a disk is not mounted or a folder was moved. If its files were lost, as root: "
        f"`appliance restore all --service {written.service} --in-place`. The next backup that reads it clears this. "
        f"Only if it was intended, as root: `appliance backup confirm {written.service}`.",
        "source",
    )


def _without_grant(written: Written, node: str) -> Reason:
    name = written.service
    if written.grant is None:
        return Reason(
            "failed",
            f"it is not backed up: it {'is waiting for a grant' if written.begun else 'has no repository yet'}.",
            _begins(name),
            "grant",
        )
    what, remedy = f"{written.grant.writer} writes it in epoch {written.grant.epoch}", written.comes_back
    if written.grant.writer == node:
        what = f"the grant of epoch {written.grant.epoch} is for keys that this node no longer has"
        remedy = f"Type `{typed.resync(name)}`."
    return Reason("warning", f"{what}, so nothing is backed up here.", remedy or _taken_back(written), "grant")


def _begins(service: str) -> str:
    return (
        f"Type `{typed.begin(service)}`. The holder of the territory key types "
        f"`{typed.grant(f'{service}.request', f'{service}.grant')}`. Then here: "
        f"`appliance backup accept {service} {service}.grant`."
    )


def _taken_back(written: Written) -> str:
    """How a service that failover does not move comes back: that takes it from who writes it, so a person decides."""
    assert written.grant is not None
    again = typed.resync(written.service)
    return (
        f"Nothing to do while {written.grant.writer} serves it. To take it back once that node has stopped: `{again}`."
    )


def _age_reasons(written: Written, now: Now) -> Iterator[Reason]:
    """How old the newest safe generation is, against the RPO; where none is, since when there are any."""
    assert written.newest is not None
    if written.newest.time > now.wall + SKEW_SECONDS_MAX:
        ahead = format_duration(written.newest.time - now.wall)
        yield Reason(
            "unknown",
            f"the newest generation is dated {ahead} in the future.",
            "Set the clock: `timedatectl`.",
            "backup-age",
        )
        return
    safe = written.safe_newest
    age = now.wall - (safe.as_of if safe else written.unsafe_since or written.newest.as_of)
    kind = "safe" if written.newest.whole else "whole and safe"
    what = f"the newest {kind} generation, {safe}," if safe else f"no generation is {kind}, and the first"
    remedy = f"Type `{typed.run(written.service)}`."
    yield from too_old(age, written.rpo_seconds, what, remedy, "backup-age")


def _missing_reasons(written: Written, view: View) -> Iterator[Reason]:
    """The peers that lack the newest generation and why; a warning, since its age judges how long it lasts."""
    if not written.safety.held and not written.missing:
        yield Reason(
            "warning",
            "every peer has it, but they are in too few failure domains to keep the promise.",
            "Type `appliance territory plan --why`.",
            "copies",
        )
    if written.taken_over and written.missing:
        what = f"generation {written.newest} is of an epoch that has ended, so no peer takes it any more."
        yield Reason("warning", what, "The agent continues with a backup of its own at once.", "copies")
        return
    under_way = view.runs("push", written.service) or view.runs("backup", written.service)
    for peer in written.missing:
        attempt = view.last("push", written.service, peer)
        if attempt is not None and attempt.later_seconds:
            whole = utc_text(attempt.time + attempt.whole_seconds)[:10]
            what = f"{peer} takes generation {written.newest} in daily parts; the rest follows by {whole}."
            yield Reason("warning", what, IS_COMING, "copies")
        elif attempt is not None and attempt.failures:
            yield failed(attempt, f"sending generation {written.newest} to {peer}", "copies")
        elif under_way:
            yield Reason("warning", f"generation {written.newest} is on its way to {peer}.", IS_COMING, "copies")
        elif not written.safety.held:
            remedy = f"The agent sends it. At once: `appliance backup push {written.service}`."
            yield Reason("warning", f"generation {written.newest} is not at {peer} yet.", remedy, "copies")


def _still_counts(written: Written, attempt: Attempt) -> bool:
    """A run by hand after the agent's failure settles it."""
    return written.newest is None or written.newest.time <= attempt.time


def _left_out_reasons(written: Written, attempt: Attempt) -> Iterator[Reason]:
    """Name the files left out; one that does not matter, such as a socket, is among the facts only."""
    accepted = {(it.path, it.reason) for it in written.accepted}
    named = [(path, why) for path, why in attempt.left_out if matters(why) and (path, why) not in accepted]
    if named:
        first = ", ".join(f"{path} ({why})" for path, why in named[:NAMED_MAX])
        more = attempt.left_out_count - min(NAMED_MAX, len(named))
        also = f" and {more} more" if more > 0 else ""
        remedy = _remedy_of_left_out(written.service, [path for path, why in named if is_missing(why)])
        yield Reason("warning", f"left out: {first}{also}.", remedy, "left-out")


def _remedy_of_left_out(service: str, missing: Sequence[str]) -> str:
    """Return what to do; a file that was written or removed while it was read needs no person."""
    if not missing:
        return f"The next backup reads it again. At once: `{typed.run(service)}`."
    never = how_to_accept(service, missing)
    return f"Give the agent's account read access, or exclude them. If they can never be read, as root: `{never}`."


def _written_facts(written: Written, attempt: Attempt | None, view: View, now: Now) -> dict[str, object]:
    newest, safe = written.newest, written.safe_newest
    return {
        "epoch": written.grant.epoch if written.grant else None,
        "writer": written.grant.writer if written.grant else None,
        "newest": str(newest) if newest else None,
        "newest_age_seconds": round(now.wall - newest.as_of) if newest else None,
        "still": utc_text(newest.still) if newest and newest.still else None,
        "safe": written.safety.safe,
        "accepted": [
            {"path": it.path, "reason": it.reason, "since": utc_text(it.since), "on": utc_text(it.on)}
            for it in written.accepted
        ],
        "counted": list(written.safety.counted),
        "promised": written.safety.promised,
        "missing": list(written.missing),
        "safe_newest": str(safe) if safe else None,
        "safe_age_seconds": round(now.wall - safe.as_of) if safe else None,
        "rpo_seconds": written.rpo_seconds,
        "next_run_seconds": _next_run(written, attempt, view, now),
        "failures": attempt.failures if attempt else 0,
        "last_error": attempt.error if attempt else "",
        "left_out": [{"path": path, "reason": why} for path, why in attempt.left_out] if attempt else [],
        "left_out_count": attempt.left_out_count if attempt else 0,
        **partial_facts(written.newest, written.partial),
        "put_aside": list(written.put_aside),
        "put_aside_trees": [asdict(it) for it in written.trees],
        "running": [work.kind for work in view.running if work.service == written.service],
    }


def _next_run(written: Written, attempt: Attempt | None, view: View, now: Now) -> int | None:
    """In how many seconds the schedule wants the next run, 0 for now; None where this node does not write it."""
    if not written.ours:
        return None
    answer = due(written.schedule, last_backup(written, attempt, now), now.wall, view.timezone)
    return 0 if isinstance(answer, Due) else round(answer.next_utc_seconds - now.wall)
