"""Carry out the actions of the table at one node. Each is safe to repeat and to cut, and raises the reason when it
fails.

An action that opens the service looks at the clock again right before it does so: the decision may be old by then. The
record that allows an action is on the disk before the action is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from appliance.coordination.outcomes import LEASE_SECONDS_MAX
from appliance.coordination.port import LeaseHolder, Lost
from appliance.errors import ApplianceError, Refused
from appliance.failover.claims import REQUEST_SECONDS_MAX, acquire, apply_record, claim_on
from appliance.failover.context import ServiceContext
from appliance.failover.documents import newest
from appliance.failover.fsm.model import STOPPING, Action, Decision
from appliance.failover.handover import release, resume_writes, sync
from appliance.failover.observe import acts_in_force, promoting, promotions, record_of
from appliance.failover.votes import above_next, ask_all
from appliance.host.files import write_atomic
from appliance.node.branch import Branch
from appliance.node.failover_state import ProvenLease
from appliance.trust.act import Act
from appliance.trust.grant import make_request, read_request
from appliance.trust.keys import public_line

A = Action


async def _read(ctx: ServiceContext, decision: Decision) -> None:
    asked = ctx.node.clock.boottime()
    apply_record(ctx, await ctx.node.store.read(ctx.service, seconds_max=REQUEST_SECONDS_MAX), asked)
    if ctx.durable.given and ctx.node.copies.is_orphaned(ctx.service, ctx.durable.given) is False:
        ctx.keep(given="")


async def _renew(ctx: ServiceContext, decision: Decision) -> None:
    proven = ctx.proven
    if proven is None:
        return
    left = proven.lease.ends - ctx.node.clock.boottime()
    try:
        lease = await ctx.node.store.renew(proven.lease, seconds_max=max(0.1, min(left, REQUEST_SECONDS_MAX)))
    except Lost:
        if ctx.proven is proven:
            ctx.lose(proven)
        raise
    if ctx.proven is not None and ctx.proven.epoch == proven.epoch:
        renewed = ctx.proven.renewed(lease)
        if decision.deadline is not None and ctx.node.services.look(ctx.service).writer:
            _bind(ctx, renewed)  # no renewal counts for what runs that its watchdog was not told of
        _proven(ctx, renewed)


def _proven(ctx: ServiceContext, proven: ProvenLease) -> None:
    ctx.prove(proven)
    ctx.lost = False
    lease = proven.lease
    told = {"sent": lease.sent, "ttl": lease.ttl_seconds, "lease": lease.lease}
    ctx.node.tell(ctx.service, proven.epoch, "renewal-proven", **told)


async def _return(ctx: ServiceContext, decision: Decision) -> None:
    """The lease again, under the epoch that this node has: the very one, while the voters let it last."""
    node, own = ctx.node, ctx.own
    record = await node.store.read(ctx.service, seconds_max=REQUEST_SECONDS_MAX / 2)
    if own is None or (record.holder and record.holder.node != node.name):
        return
    had, lasts = ctx.proven, record.holder.lease if record.holder else 0  # a new leader lets all leases start over
    if had and (had.epoch, had.lease.lease) == (own.epoch, lasts):  # not that of a claim that got no grant
        _proven(ctx, had.renewed(await node.store.renew(had.lease, seconds_max=REQUEST_SECONDS_MAX / 2)))
        return
    mine = record.owner is not None and record.owner.node == node.name and not record.owner.released
    lease = await acquire(ctx, claim_on(ctx, record, f"continues under epoch {own.epoch}", resumes=mine))
    # A reboot may have forgotten until when the deposed node may go on, an earlier version which node that is.
    deposed = _old_writer_stops_at(ctx, ctx.durable.deposed_seconds) if ctx.durable.opened_epoch != own.epoch else 0.0
    _proven(ctx, ProvenLease(node.boot_id, lease, own.epoch, old_writer_stops_at=deposed))


async def _wake(ctx: ServiceContext, decision: Decision) -> None:
    ctx.node.services.wake(ctx.service)


async def _expect(ctx: ServiceContext, decision: Decision) -> None:
    ctx.node.copies.expect(ctx.service)


async def _take_over(ctx: ServiceContext, decision: Decision) -> None:
    node = ctx.node
    record, seen = ctx.record, record_of(ctx)
    if record is None or seen is None:
        return
    by = "act" if promoting(ctx, acts_in_force(ctx)) else "release" if seen.released else "vacancy"
    ousts = record.holder.revision if by == "act" and record.holder and record.holder.node != node.name else 0
    voting = node.bundle().voting
    epoch = voting.epoch_above(decision.above, ctx.service)
    node.tell(ctx.service, 0, "takeover-asked", by=by)
    claim = claim_on(ctx, record, f"takes over by {by}", ousts=ousts)
    if ousts and record.holder:  # before the store forgets it: a claim whose answer was lost may have deposed it
        ctx.keep(deposed_seconds=max(ctx.durable.deposed_seconds, _lease_seconds(record.holder)))
    lease = await acquire(ctx, claim)
    deposed = _old_writer_stops_at(ctx, ctx.durable.deposed_seconds) if ctx.durable.deposed_seconds else 0.0
    node.tell(ctx.service, 0, "takeover-won", by=by, revision=lease.revision)  # the epoch is a grant's
    _proven(ctx, ProvenLease(node.boot_id, lease, epoch, decision.above, deposed))


def _lease_seconds(holder: LeaseHolder) -> int:
    """The lease of `holder`, in seconds. One that does not say may be the longest."""
    return min(holder.ttl_seconds or LEASE_SECONDS_MAX, LEASE_SECONDS_MAX)


def _old_writer_stops_at(ctx: ServiceContext, begun_for: int) -> float:
    """Until when a holder that was deposed now may go on by its own clock: a lease lasts as long as it was begun for,
    and may be older than the bundle that made leases shorter."""
    return ctx.node.clock.boottime() + max(ctx.node.timers.ttl, begun_for)


async def _ask_grant(ctx: ServiceContext, decision: Decision) -> None:
    """A round of asking all brokers; what came is on the disk before it counts."""
    node, proven, present = ctx.node, ctx.proven, ctx.node.documents.grants.get(ctx.service)
    if proven is None or present is None:
        raise Refused(f"{ctx.service} has no grant yet: the first one is the territory key's.")
    reason = f"taken over by the voters' decision at revision {proven.lease.revision}"
    raw = make_request(
        node.key,
        service=ctx.service,
        repository=present.repository,
        writer=node.name,
        known_epoch=max(proven.above, present.epoch),
        reason=reason,
    )
    request = read_request(raw, public_line(node.key))
    documents = tuple(it.decode() for it in shown(ctx))
    found = await ask_all(node.brokers, request, documents, node.bundle().voting, REQUEST_SECONDS_MAX)
    if found.grant is None:
        ctx.rounds += 1
        above = above_next(found, present.epoch, ctx.rounds, node.bundle().voting)
        if above != proven.above and ctx.proven is not None:
            epoch = node.bundle().voting.epoch_above(above, ctx.service)
            ctx.prove(replace(ctx.proven, epoch=epoch, above=above))
        raise Refused("; ".join(f"{name}: {why}" for name, why in found.reasons.items()))
    _take_grant(ctx, found.grant, present.writer)
    ctx.show(found.grant)


def _take_grant(ctx: ServiceContext, raw: bytes, before: str) -> None:
    node = ctx.node
    granted = node.documents.granters(ctx.service).read(raw)
    acts = acts_in_force(ctx)
    act = promoting(ctx, acts)
    # An epoch of its own that it never opened left nothing to go on from: what was named for that one still holds.
    again = ctx.durable.generation if before == node.name else ""
    generation = act.generation if act else again
    # The operator who promotes this node answers for a generation that the last writer named and nobody can give.
    required = (
        ""
        if act or generation
        else ctx.durable.required
        if before == node.name
        else node.documents.last_of(ctx.service)
    )
    adopts = before != node.name or ctx.durable.adopts
    ctx.keep(adopts=adopts, branch=Branch.NONE, generation=generation, required=required)
    write_atomic(ctx.granted_path, raw)
    if act:  # after the grant: one that is used up and brought nothing would never be obeyed
        _use_up(ctx, promotions(ctx, acts), generation)
    node.documents.take([raw])
    node.tell(ctx.service, granted.epoch, "granted")
    if ctx.proven is not None:
        ctx.prove(replace(ctx.proven, epoch=granted.epoch))


def _use_up(ctx: ServiceContext, acts: tuple[Act, ...], generation: str) -> None:
    """Go on from `generation`, and use up `acts`: an act that is left over would oust the next writer of the
    service."""
    served = ctx.durable.served_acts
    left = [act.document.digest for act in acts if act.document.digest not in served]
    ctx.keep(generation=generation, served_acts=(*served, *left))


def shown(ctx: ServiceContext) -> tuple[bytes, ...]:
    """Return the signed documents of this service that this node shows to a broker or a peer."""
    granted = ctx.node.documents.grants.get(ctx.service)
    given_up = ctx.node.documents.release_of(ctx.service)
    acts = (act.document.raw for act in acts_in_force(ctx) if act.act in ("promote", "quarantine", "lost"))
    return (*([granted.document.raw] if granted else []), *([given_up.document.raw] if given_up else []), *acts)


async def _present(ctx: ServiceContext, decision: Decision) -> None:
    own = ctx.own
    told = await ctx.node.copies.present(ctx.service)
    if told.newer:
        ctx.keep(refused_by_epoch=max(told.newer, ctx.durable.refused_by_epoch))
    if told.accepted and own is not None:
        ctx.keep(acknowledged_epoch=own.epoch)


async def _cut_network(ctx: ServiceContext, decision: Decision) -> None:
    had = ctx.node.network.has_address(ctx.service)
    await ctx.node.network.cut(ctx.service)
    if had:
        ctx.node.tell(ctx.service, _epoch(ctx), "address-del")


async def _stop(ctx: ServiceContext, decision: Decision) -> None:
    ran = ctx.node.services.look(ctx.service).writer
    await ctx.node.services.stop(ctx.service)
    ctx.healthy = False
    if ran:
        ctx.node.tell(ctx.service, _epoch(ctx), "writer-stop")


async def _reset(ctx: ServiceContext, decision: Decision) -> None:
    ctx.node.services.reset(ctx.service)


async def _arm_watchdog(ctx: ServiceContext, decision: Decision) -> None:
    tie(ctx, decision)


def tie(ctx: ServiceContext, decision: Decision) -> None:
    """Give the watchdog the deadline of the lease, or take it away from who may go on alone.

    Once the lease is gone the deadline that was proven last stands: what still runs must not outlive it.
    """
    if decision.deadline is None:
        ctx.node.watchdog.watch(ctx.service, ctx.durable.opened_epoch, None)
    elif ctx.proven is not None:
        _bind(ctx, ctx.proven)


def _bind(ctx: ServiceContext, proven: ProvenLease) -> None:
    deadline = ctx.node.timers.dead_at(proven.lease.sent, proven.lease.ttl_seconds)
    ctx.node.watchdog.watch(ctx.service, ctx.durable.opened_epoch, deadline)


async def _start(ctx: ServiceContext, decision: Decision) -> None:
    own, alone = ctx.own, decision.deadline is None
    if own is None or ctx.node.services.look(ctx.service).writer:
        return
    if ctx.durable.opened_epoch != own.epoch:
        await _adopt(ctx)
    if not ctx.may_write(alone) or own.epoch < newest(ctx.node.documents.grants, ctx.service):
        raise Refused("the lease expired before the service started.")
    ctx.keep(
        opened_epoch=own.epoch,
        unreplicated_writes=True,
        adopts=False,
        generation="",
        synced="",
        given="",
        required="",
        deposed_seconds=0,
    )
    _tie_firmly(ctx, decision)  # what was laid in place meanwhile may have taken longer than the deadline that is there
    ctx.started_at = ctx.node.clock.boottime()  # from now on it has its time to come up
    ctx.starting = True
    try:
        await ctx.node.services.start(ctx.service, own.epoch)
    finally:
        ctx.starting = False
    ctx.node.tell(ctx.service, own.epoch, "writer-start", took=round(ctx.node.clock.boottime() - ctx.started_at, 3))
    try:
        _tie_firmly(ctx, decision)
    except (ApplianceError, OSError):
        await _stop(ctx, decision)  # nothing would end it if this program hung
        raise


def _tie_firmly(ctx: ServiceContext, decision: Decision) -> None:
    """`tie`, which must go well where a lease binds. Nothing ends who goes on alone, so there it is trouble only: on a
    full disk the watchdog cannot be told, and its people could not even make room."""
    if decision.deadline is not None:
        tie(ctx, decision)
        return
    with ctx.telling(str(A.ARM_WATCHDOG)):
        tie(ctx, decision)


async def _adopt(ctx: ServiceContext) -> None:
    """As long as it takes; only a service that is in place and does not start is given to another after a while."""
    _apply_promotions(ctx)
    with ctx.moving_files():
        laid = None
        while laid != (ctx.durable.generation, ctx.durable.required):  # an act that came meanwhile may name another
            generation, required = laid = ctx.durable.generation, ctx.durable.required
            keep_files = not ctx.durable.adopts
            await ctx.node.copies.adopt(ctx.service, keep_files=keep_files, generation=generation, required=required)
            _apply_promotions(ctx)


def _apply_promotions(ctx: ServiceContext) -> None:
    """Have what promotes this node do so now: until it opens its epoch the last act may still say from where to go on.

    An act whose grant is here was left as if it had promoted nobody when the power failed right after that.
    """
    acts = promotions(ctx, acts_in_force(ctx))
    says = acts and ctx.durable.adopts and acts[-1].document.digest not in ctx.durable.served_acts
    if says:
        ctx.keep(required="")
    _use_up(ctx, acts, acts[-1].generation if says else ctx.durable.generation)


async def _probe(ctx: ServiceContext, decision: Decision) -> None:
    await ctx.probe()


async def _add_address(ctx: ServiceContext, decision: Decision) -> None:
    if not ctx.may_write(decision.deadline is None) or not ctx.node.services.look(ctx.service).writer:
        raise Refused("it must not be served here any more.")
    if not ctx.node.network.has_address(ctx.service):
        await ctx.node.network.add_address(ctx.service)
        ctx.node.tell(ctx.service, _epoch(ctx), "address-add")


async def _serve_copy(ctx: ServiceContext, decision: Decision) -> None:
    await ctx.node.copies.install_copy(ctx.service)
    await ctx.node.services.serve_copy(ctx.service)


async def _pull(ctx: ServiceContext, decision: Decision) -> None:
    asked = ctx.node.clock.boottime()
    await ctx.node.copies.pull(ctx.service)
    ctx.pulled_at = asked


async def _keep_branch(ctx: ServiceContext, decision: Decision) -> None:
    """Once it is kept it no longer keeps the service; merging is a command, where the service is written again."""
    with ctx.moving_files():
        where = await ctx.node.copies.keep_branch(ctx.service, ctx.durable.opened_epoch)
    ctx.keep(branch=Branch.KEPT, unreplicated_writes=False, given="")
    ctx.node.tell(ctx.service, ctx.durable.opened_epoch, "branch", values=[], where=where)
    merge = f"appliance failover merge {ctx.service}"
    with ctx.telling(str(A.ALARM)):
        told = f"`{merge} --dry-run` shows what differs once it is written here again"
        if not ctx.plan.is_merged:
            told = f"a database is never merged: check its dump there, then `{merge} --leave`"
        ctx.node.alarm(
            ctx.service, f"writes made here while another node wrote the service are kept in branches/; {told}"
        )


async def _alarm(ctx: ServiceContext, decision: Decision) -> None:
    ctx.node.alarm(ctx.service, f"{decision.row}: {decision.reason}")


def _epoch(ctx: ServiceContext) -> int:
    return ctx.durable.opened_epoch


DOES: Mapping[Action, Callable[[ServiceContext, Decision], Awaitable[None]]] = {
    A.READ: _read,
    A.RENEW: _renew,
    A.RETURN: _return,
    A.WAKE: _wake,
    A.EXPECT: _expect,
    A.TAKE_OVER: _take_over,
    A.RELEASE: release,
    A.ASK_GRANT: _ask_grant,
    A.PRESENT: _present,
    A.CUT_NETWORK: _cut_network,
    A.STOP: _stop,
    A.SET_READ_ONLY: lambda ctx, _: ctx.node.services.set_read_only(ctx.service),
    A.RESET: _reset,
    A.ARM_WATCHDOG: _arm_watchdog,
    A.START: _start,
    A.PROBE: _probe,
    A.ADD_ADDRESS: _add_address,
    A.SERVE_COPY: _serve_copy,
    A.WITHDRAW_COPY: lambda ctx, _: ctx.node.services.withdraw_copy(ctx.service),
    A.PULL: _pull,
    A.HOLD_WRITES: lambda ctx, _: ctx.node.services.hold(ctx.service),
    A.RESUME_WRITES: resume_writes,
    A.SYNC: sync,
    A.KEEP_BRANCH: _keep_branch,
    A.ALARM: _alarm,
}


CLOSING = frozenset({*STOPPING, A.RESET, A.WITHDRAW_COPY, A.ALARM})
"""Each makes it safer by itself, or calls a person: it is done whatever failed before it."""


async def perform(ctx: ServiceContext, decision: Decision) -> bool:
    """Do what `decision` says, in order; whether all of it was done. After one that fails only what closes goes on, and
    the table asks again. A person who cannot be called, as on a full disk, ends nothing."""
    done = True
    for action in decision.actions:
        if not done and action not in CLOSING:
            continue
        ctx.last[action] = ctx.node.clock.boottime()
        with ctx.telling(str(action)):
            await DOES[action](ctx, decision)
        done = done and (action is A.ALARM or str(action) not in ctx.trouble)
    return done
