"""Do one decided work, in the worker's process, and say how it ended. Every expected failure becomes a sentence.

A worker does one work and ends, so each action imports what it needs: all of it costs a third of a second of a core.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from appliance.agent.decisions import (
    BackUp,
    Catalogue,
    Check,
    Drill,
    Exchange,
    People,
    Prune,
    PruneVault,
    Push,
    Ready,
    Repair,
    Replicate,
    Scrub,
    Verify,
    Work,
)
from appliance.agent.memory import LEFT_OUT_MAX, Outcome
from appliance.errors import ApplianceError, Busy, Forbidden, IntegrityError, NoSpace, Postponed
from appliance.node.handle import Node
from appliance.units import MINUTE, as_typed, format_count

if TYPE_CHECKING:
    from appliance.backup.peers.push import Pushed

SCRUB_SECONDS_MAX = 10 * MINUTE
"""The worker class is for all that is held: the next scrub goes on from here."""


def perform(node: Node, work: Work) -> Outcome:
    """Do `work` on `node`; an expected failure is in the outcome, with its remedy and exit code."""
    try:
        return ACTIONS[type(work)](node, work)
    except ApplianceError as error:
        return failed(error)
    except OSError as error:
        return failed(_named(error))


def failed(error: ApplianceError, **more: Any) -> Outcome:
    """The outcome of a work that `error` ended, or spoiled in part; `more` are other fields of it."""
    sentence = f"{error.where}: {error.what}" if error.where else error.what
    is_full, is_busy = isinstance(error, NoSpace), isinstance(error, Busy)
    told: dict[str, Any] = {"remedy": error.remedy, "exit_code": error.exit_code, "disk_full": is_full, "busy": is_busy}
    return Outcome(error=sentence, **told, **more)


def _named(error: OSError) -> ApplianceError:
    where = str(error.filename or "")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace("the disk is full.", where=where, remedy="Free space; the next try continues.")
    if isinstance(error, PermissionError):
        return Forbidden("permission denied to this account.", where=where)
    return ApplianceError(f"{error.strerror or error}.", where=where)


def _back_up(node: Node, work: BackUp) -> Outcome:
    """A peer that failed is a failed push, not a failed backup, and so is a branch; a source that could not be read is
    one."""
    from appliance.backup.writer import writer
    from appliance.branches.backup import save_branches, waits
    from appliance.node.failover_status import is_handing_over

    run = writer.run(node, work.service, may_be_still=not waits(node, work.service))
    handing_over = is_handing_over(node.layout.failover, work.service, node.clock.boot_id())
    unsaved = () if run.still else save_branches(node, run, handing_over=handing_over)
    left_out = tuple((item.path, item.reason) for item in run.left_out[:LEFT_OUT_MAX])
    made = run.created
    figures = {"files": made.files, "bytes": made.original_bytes, "new_bytes": made.deduplicated_bytes}
    found: dict[str, Any] = {
        "figures": figures,
        "mark": run.sealed.header.id.name,
        "peers": _by_peer(run.pushed),
        "later": _later(run.pushed),
        "left_out": left_out,
        "left_out_count": len(run.left_out),
        "alarms": tuple(f"{it.what} is not saved: {it.error.what}" for it in unsaved),
    }
    if run.failures:
        first = run.failures[0]
        return failed(first.error, **found)
    return Outcome(**found)


def _push(node: Node, work: Push) -> Outcome:
    from appliance.backup.chain.chain import chain_of
    from appliance.backup.writer import writer

    pushed = writer.push_newest(node, work.service)
    newest = chain_of(node, work.service).newest()
    errors = (outcome.error for outcome in pushed)
    first = next((error for error in errors if error and not isinstance(error, Postponed)), None)
    found: dict[str, Any] = {
        "mark": newest.header.id.name if newest else "",
        "peers": _by_peer(pushed),
        "later": _later(pushed),
    }
    return failed(first, **found) if first else Outcome(**found)


def _later(pushed: Iterable[Pushed]) -> dict[str, tuple[int, int]]:
    """The peers that took a part, with the seconds until the next part and until the last one."""
    return {
        it.peer: (max(1, it.error.seconds), it.error.whole_seconds) for it in pushed if isinstance(it.error, Postponed)
    }


def _by_peer(pushed: Iterable[Pushed]) -> dict[str, str]:
    return {outcome.peer: str(outcome.error) if outcome.error else "" for outcome in pushed}


def _replicate(node: Node, work: Replicate) -> Outcome:
    """A spare takes copies only for a signed act that calls somebody lost, so these go along."""
    from appliance.backup.peers.replicate import replicate
    from appliance.backup.vault.replicas import replica_of
    from appliance.node.acts import load_acts
    from appliance.trust.in_force import in_force

    acts = in_force(load_acts(node.layout.acts, node.bundle, "lost"), node.clock.now())
    done = replicate(node, work.service, work.to, acts)
    newest = replica_of(node, work.service).newest_held()
    return Outcome(mark=newest.name if newest else "", peers={work.to: ""}, figures={"generations": len(done.taken)})


def _catalogue(node: Node, work: Catalogue) -> Outcome:
    from appliance.backup.peers.openable import open_best
    from appliance.backup.writer.filling import unread_in
    from appliance.borg.client import Borg
    from appliance.restore.catalogue import caught_up

    opened = open_best(node, work.service, work.source)
    borg = Borg(opened.repository)
    with caught_up(opened.catalogue, borg, lacking=partial(unread_in, borg, work.service)) as (_, found):
        pass
    _forget_old_restores(node, work.service)
    return Outcome(mark=work.newest, figures={"archives": found.archives, "paths": found.paths})


def _ready(node: Node, work: Ready) -> Outcome:
    """A disk without room for it is no failure: a takeover lays the service out then, and takes longer."""
    from appliance.failover.forms.known_forms import contents_of
    from appliance.failover.warm_standby import install_ahead

    try:
        brought = install_ahead(node, work.service)
    except NoSpace as error:
        node.journal.write("not-laid-ahead", service=work.service, why=error.what)
        return Outcome(mark=work.newest, figures={"ahead": 0})
    with suppress(ApplianceError, OSError):  # a takeover tries again, and tells
        contents_of(node, work.service).prepare(node, work.service)
    return Outcome(mark=work.newest, figures={"ahead": 1, "whole": int(not brought)})


def _people(node: Node, work: People) -> Outcome:
    from appliance.failover.forms import people

    people.bring(node, work.home)
    return Outcome(mark=work.newest)


def _verify(node: Node, work: Verify) -> Outcome:
    """Damage is an alarm, not a failure: the next share is read tomorrow all the same."""
    from appliance.backup.proofs.verify import verify_data

    done = verify_data(node, work.service)
    figures = {"files": done.files, "bytes": done.bytes, "damaged": len(done.damaged), "finished": int(done.finished)}
    places = format_count(len(done.damaged), "place")
    named = f"`{as_typed('appliance', 'backup', 'verify', work.service)}` lists them"
    alarms = (f"in {places}, archives cannot be read or must not be restored; {named}.",) if done.damaged else ()
    return Outcome(mark=done.generation, figures=figures, alarms=alarms)


def _drill(node: Node, work: Drill) -> Outcome:
    from appliance.backup.proofs.drill import drill
    from appliance.failover.forms import database_work

    done = drill(node, work.service, database_work.rehearse)
    figures = {"files": done.files, "bytes": done.bytes, "seconds": round(done.seconds), "wrong": len(done.wrong)}
    wrong = format_count(
        len(done.wrong), "item was not restored as it was saved", "items were not restored as they were saved"
    )
    alarms = (f"in a restore drill, {wrong}.",) if done.wrong else ()
    return Outcome(mark=done.generation, figures=figures, alarms=alarms)


def _exchange(node: Node, work: Exchange) -> Outcome:
    """Ask, compare, freeze where something is amiss; bringing what a peer lacks is another work, which may be long."""
    from appliance.backup.peers.alarms import alarm_of
    from appliance.backup.peers.exchange import ask_for_older, exchange
    from appliance.backup.peers.fetch import short_name
    from appliance.failover.warm_standby import learn_ahead

    found = exchange(node, work.service)
    alarm_of(node, found)
    learn_ahead(node, work.service)
    if found.to_come:
        ask_for_older(node, found)
    withheld = (
        f"{peer} signed for generation {short_name(name)} and does not show it now."
        for peer, name in found.withheld.items()
    )
    conflicts = (f"two grants of epoch {epoch} were signed." for epoch in found.conflicts)
    return Outcome(
        mark=found.newest,
        peers={**dict.fromkeys(found.answered, ""), **found.silent},
        alarms=(*withheld, *conflicts),
        to_bring=tuple(found.to_bring),
        to_come={peer: len(names) for peer, names in found.to_come.items()},
    )


def _repair(node: Node, work: Repair) -> Outcome:
    from appliance.backup.vault.maintenance.repair import repair

    done = repair(node, work.service)
    figures = {"mended": len(done.mended), "left": len(done.left)}
    if not done.left:
        return Outcome(figures=figures)
    why = "; ".join(f"{peer}: {reason}" for peer, reason in done.failed.items())
    error = IntegrityError(
        f"{len(done.left)} damaged files of the replica could not be repaired. {why}".strip(),
        remedy="The next push of its writer sends what is still needed; the peers' status shows which has the rest.",
    )
    return failed(error, figures=figures)


def _scrub(node: Node, work: Scrub) -> Outcome:
    from appliance.backup.vault.maintenance.scrub import Budget
    from appliance.backup.vault.sealing.sealer_choice import sealer_of

    done = sealer_of(node).scrub(work.service, Budget(work.budget, SCRUB_SECONDS_MAX))
    figures = {"blobs": done.blobs, "bytes": done.bytes, "damage": len(done.damage), "finished": int(done.finished)}
    return Outcome(figures=figures)


def _check(node: Node, work: Check) -> Outcome:
    """A fault is an alarm, not a failure: every hash is in order, so no other holder has it better."""
    from appliance.backup.peers.fetch import short_name
    from appliance.backup.vault.sealing.checker import check_view

    done = check_view(node, work.service)
    fault = f"borg reports that generation {short_name(done.generation)} was sealed damaged: {done.fault}"
    return Outcome(mark=done.generation, alarms=(fault,) if done.fault else ())


def _prune_vault(node: Node, work: PruneVault) -> Outcome:
    from appliance.backup.vault.sealing.sealer_choice import sealer_of

    done = sealer_of(node).prune(work.service)
    return Outcome(figures={"generations": len(done.dropped), "bytes": done.bytes_removed})


def _prune(node: Node, work: Prune) -> Outcome:
    from appliance.backup.writer import writer
    from appliance.backup.writer.replaced import forget_replaced
    from appliance.failover.replaced_trees import forget_trees, look_at_trees

    forgotten = writer.prune(node, work.service)
    _forget_old_restores(node, work.service)
    look_at_trees(node, work.service)  # the repositories that go next may say alone what of them is saved
    if trees := forget_trees(node, work.service):
        node.journal.write("replaced-trees-removed", service=work.service, folders=trees)
    if gone := forget_replaced(node, work.service):
        node.journal.write("replaced-removed", service=work.service, folders=gone)
    return Outcome(figures={"archives": len(forgotten)})


def _forget_old_restores(node: Node, service: str) -> None:
    """Forget what restores replaced 30 days ago: it can be undone until then, and only fills the disk afterwards. On a
    host appliance-restores does it: a restore may write every file, so the agent writes nothing there."""
    from appliance.restore.undo import expire

    if node.layout.is_this_host:
        return
    expired = expire(node.service(service).restores, age_seconds=node.ageing.now())
    if expired:
        node.journal.write("restores-expired", service=service, jobs=len(expired))


ACTIONS: Mapping[type[Work], Callable[[Node, Any], Outcome]] = {
    BackUp: _back_up,
    Push: _push,
    Replicate: _replicate,
    Catalogue: _catalogue,
    Ready: _ready,
    People: _people,
    Verify: _verify,
    Drill: _drill,
    Exchange: _exchange,
    Repair: _repair,
    Scrub: _scrub,
    Check: _check,
    PruneVault: _prune_vault,
    Prune: _prune,
}
