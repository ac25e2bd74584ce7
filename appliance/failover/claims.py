"""The voters' record of a service as this node takes it in, and the claim that this node makes by it."""

from __future__ import annotations

import secrets

from appliance.clock import utc_text
from appliance.coordination.keys import new_lease
from appliance.coordination.port import Claim, Lease, ServiceRecord, Taken
from appliance.errors import ApplianceError, Unreachable
from appliance.failover.context import ServiceContext

REQUEST_SECONDS_MAX = 4.0


def apply_record(ctx: ServiceContext, record: ServiceRecord, asked: float, *, pushed: bool = False) -> None:
    """Take the voters' record, unless a newer one was heard.

    An answer to a question that was sent after the last answer had come is newer, whatever its revision: a majority
    answers with the newest there is. So a single voter that once named the highest of all revisions keeps nobody from
    hearing the others, and neither does a store that was brought back from a copy. A `pushed` record, as the watch
    brings it, is ordered by revision alone.
    """
    if ctx.record is not None and record.revision < ctx.record.revision and (pushed or asked <= ctx.taken_at):
        return
    ctx.taken_at = ctx.node.clock.boottime()
    if asked > ctx.asked + ctx.node.timers.fresh:
        ctx.heard_since = ctx.node.clock.boottime()
    before, ctx.record, ctx.asked = ctx.record, record, max(asked, ctx.asked)
    if record.holder is None and (before is None or before.holder or before.owned != record.owned):
        ctx.vacant_since = ctx.node.clock.boottime()
    if before and before.holder and record.holder is None:
        cause = "released" if record.owner and record.owner.released else "expired"
        who, lease = before.holder.node, before.holder.lease
        ctx.node.tell(ctx.service, 0, "holder-deleted", holder=who, cause=cause, lease=lease)


def claim_on(
    ctx: ServiceContext, record: ServiceRecord, reason: str, *, resumes: bool = False, ousts: int = 0
) -> Claim:
    """A claim on what `record` shows; the one before, where its answer was lost and nothing has changed since."""
    node, before = ctx.node, ctx.claim
    same = before and (before.seen, before.resumes, before.ousts) == (record.owned, resumes, ousts)
    holds = before and record.holder and (record.holder.node, record.holder.lease) == (node.name, before.lease)
    if before and (same or holds):
        return before
    lease = new_lease(node.name, secrets.randbits(32))
    ttl, time = round(node.timers.ttl), utc_text(node.clock.now())
    return Claim(ctx.service, node.name, node.boot_id, lease, record.owned, ttl, reason, time, resumes, ousts)


async def acquire(ctx: ServiceContext, claim: Claim) -> Lease:
    ctx.claim = claim
    try:
        lease = await ctx.node.store.acquire(claim, seconds_max=REQUEST_SECONDS_MAX)
    except Unreachable:
        raise  # it may have been carried out: the same claim is made again
    except ApplianceError as error:
        ctx.claim = None
        if isinstance(error, Taken):
            apply_record(ctx, error.record, ctx.node.clock.boottime(), pushed=True)
        raise
    ctx.claim = None
    return lease
