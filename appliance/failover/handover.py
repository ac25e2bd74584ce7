"""How a lease holder gives a service up: clients wait, the next writer gets everything, and a release says so.

The next writer has the generation that the release names, by its own receipt, before the release is signed; until
another went on from it this node remembers that it may have to keep it (`model.Seen.unreplicated_writes`).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from appliance.clock import utc_text
from appliance.coordination.port import Lease
from appliance.errors import Refused
from appliance.failover.context import ServiceContext
from appliance.failover.fsm.model import Decision
from appliance.failover.ports import Synced
from appliance.host.files import write_atomic
from appliance.node.branch import Branch
from appliance.trust.release import make_release


async def resume_writes(ctx: ServiceContext, decision: Decision) -> None:
    with ctx.telling("note that clients write"):  # on a full disk they are let in all the same, to make room
        ctx.keep(unreplicated_writes=True)
    ctx.durable = replace(
        ctx.durable, unreplicated_writes=True
    )  # what comes now is in no sync that was made while they waited
    await ctx.node.services.resume(ctx.service)


async def sync(ctx: ServiceContext, decision: Decision) -> None:
    """All that was acknowledged is where the next writer gets it; clients wait meanwhile."""
    let_in, found = ctx.let_in, await ctx.node.copies.sync(ctx.service, decision.to)
    here = ctx.node.services.look(ctx.service)
    if let_in != ctx.let_in or not (here.held or not here.writer):
        return
    if here.writer:  # they may have been let in behind this program's back, meanwhile
        await ctx.node.services.check_held(ctx.service)
    _check_receipts(ctx, decision.to, found)
    ctx.keep(unreplicated_writes=False, synced=found.generation)
    ctx.synced = True


def _check_receipts(ctx: ServiceContext, to: str, found: Synced) -> None:
    """Raise Refused unless who takes over has `found`, by its own receipt. A home holds nothing of its own service for
    others: it fetches from who gave a receipt, and this node goes on with what it has here where that fails."""
    home, others = ctx.plan.node, {ctx.plan.node, *ctx.plan.standbys} - {ctx.node.name}
    takers = {to} if to else others
    if takers & set(found.has) or (home in takers and found.has):
        return
    names = ", ".join(sorted(takers))
    has = ", ".join(found.has) or "nobody"
    raise Refused(f"{names} gave no receipt for the last backup of {ctx.service}; {has} has it.")


async def release(ctx: ServiceContext, decision: Decision) -> None:
    """Say under our signature that we write no more, where that is true; then let the lease go."""
    node, own, proven = ctx.node, ctx.own, ctx.proven
    lease = proven.lease if proven else _orphan_lease(ctx)
    if own is not None and proven is not None:  # what the voters show alone may have been forged, to have us say this
        ctx.keep(released_epoch=own.epoch)
        if not ctx.durable.unreplicated_writes and not node.services.look(ctx.service).is_open:
            # Of another epoch it may be a branch by now, as of this one when the lease got no grant.
            if own.epoch == ctx.durable.opened_epoch and ctx.durable.branch is Branch.NONE:
                ctx.keep(given=ctx.durable.synced)
            said = {"generation": _last(ctx), "reason": decision.row, "time": utc_text(node.clock.now())}
            raw = make_release(node.key, service=ctx.service, epoch=own.epoch, holder=node.name, **said)
            write_atomic(ctx.release_path, raw)
            node.documents.take([raw])
            node.tell(ctx.service, own.epoch, "proof-of-death", of=node.name, kind="release")
            # The next holder waits for both, this and the lease.
            await asyncio.wait((ctx.show(raw),), timeout=node.timers.retry)
    ctx.prove(None)
    if lease is not None:
        await node.store.release(lease, f"by {decision.row}", utc_text(node.clock.now()))


def _orphan_lease(ctx: ServiceContext) -> Lease | None:
    """The lease that the voters show as ours and that we have no proof of."""
    record = ctx.record
    if record is None or record.holder is None or record.owner is None or record.holder.node != ctx.node.name:
        return None
    ttl = round(ctx.node.timers.ttl)
    since = record.holder.revision
    return Lease(ctx.service, ctx.node.name, record.holder.lease, record.owner.revision, since, ttl, 0.0)


def _last(ctx: ServiceContext) -> str:
    """The generation with everything that was acknowledged under this node's epoch: of one that it never opened, what
    it was to go on from."""
    own = ctx.own
    return ctx.durable.synced if own and own.epoch == ctx.durable.opened_epoch else ctx.durable.required
