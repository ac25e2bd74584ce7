"""How a holder gives a service up: clients wait, everything is brought to who takes over, and a release says so.

What the release names is with the next writer, by its own receipt, before it is signed; until another went on from it
this node remembers that it may have to keep it (`model.Seen.tail`).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from appliance.clock import utc_text
from appliance.coordination.port import Holding
from appliance.errors import Refused
from appliance.failover.fsm.model import Decision
from appliance.failover.ports import Synced
from appliance.failover.situation import Situation
from appliance.host.files import write_atomic
from appliance.trust.release import make_release


async def resume_writes(it: Situation, decision: Decision) -> None:
    with it.telling("note that clients write"):  # on a full disk they are let in all the same, to make room
        it.keep(tail=True)
    it.kept = replace(it.kept, tail=True)  # what comes now is in no sync that was made while they waited
    await it.site.services.resume(it.service)


async def sync(it: Situation, decision: Decision) -> None:
    """All that was acknowledged is where the next writer gets it; clients wait meanwhile."""
    let_in, found = it.let_in, await it.site.copies.sync(it.service, decision.to)
    here = it.site.services.look(it.service)
    if let_in != it.let_in or not (here.held or not here.writer):
        return
    if here.writer:  # they may have been let in behind this program's back, meanwhile
        await it.site.services.check_held(it.service)
    _check_receipts(it, decision.to, found)
    it.keep(tail=False, synced=found.generation)
    it.synced = True


def _check_receipts(it: Situation, to: str, found: Synced) -> None:
    """Raise Refused unless who takes over has `found`, by its own receipt. A home holds nothing of its own service for
    others: it fetches from who gave a receipt, and this node goes on with what it has here where that fails."""
    home, others = it.plan.node, {it.plan.node, *it.plan.standbys} - {it.site.name}
    takers = {to} if to else others
    if takers & set(found.has) or (home in takers and found.has):
        return
    names = ", ".join(sorted(takers))
    has = ", ".join(found.has) or "nobody"
    raise Refused(f"{names} gave no receipt for the last backup of {it.service}; {has} has it.")


async def release(it: Situation, decision: Decision) -> None:
    """Say under our signature that we write no more, where that is true; then let the lease go."""
    site, own, lease = it.site, it.own, it.lease
    holding = lease.holding if lease else _stray(it)
    if own is not None and lease is not None:  # what the voters show alone may have been forged, to have us say this
        it.keep(released_epoch=own.epoch)
        if not it.kept.tail and not site.services.look(it.service).is_open:
            if own.epoch == it.kept.opened_epoch:  # of another epoch it may be a branch by now
                it.keep(given=it.kept.synced)
            said = {"generation": _last(it), "reason": decision.row, "time": utc_text(site.clock.now())}
            raw = make_release(site.key, service=it.service, epoch=own.epoch, holder=site.name, **said)
            write_atomic(it.release_path, raw)
            site.papers.take([raw])
            site.tell(it.service, own.epoch, "proof-of-death", of=site.name, kind="release")
            # Whoever comes next waits for both, this and the lease.
            await asyncio.wait((it.show(raw),), timeout=site.timers.retry)
    it.prove(None)
    if holding is not None:
        await site.store.release(holding, f"by {decision.row}", utc_text(site.clock.now()))


def _stray(it: Situation) -> Holding | None:
    """The lease that the voters show as ours and that we have no proof of."""
    state = it.state
    if state is None or state.holder is None or state.owner is None or state.holder.node != it.site.name:
        return None
    ttl = round(it.site.timers.ttl)
    since = state.holder.revision
    return Holding(it.service, it.site.name, state.holder.lease, state.owner.revision, since, ttl, 0.0)


def _last(it: Situation) -> str:
    """The generation with everything that was acknowledged under this node's epoch: of one that it never opened, what
    it was to go on from."""
    own = it.own
    return it.kept.synced if own and own.epoch == it.kept.opened_epoch else it.kept.required
