"""One look: what a node sees of a service at a moment, from what it keeps, was told, and has running."""

from __future__ import annotations

from dataclasses import replace

from appliance.failover.context import ServiceContext
from appliance.failover.documents import newest
from appliance.failover.fsm.model import Action, Copy, OperatorRequests, Proof, Record, Seen
from appliance.failover.handback_window import in_handback_window
from appliance.trust.act import Act
from appliance.trust.in_force import in_force
from appliance.trust.voting import next_odd

PULL_EVERY_SECONDS = 60.0
READY_SECONDS_MAX = 10.0
"""How old a home's word that it is ready may be: all that hangs on it is a move that loses nothing."""


def observe(ctx: ServiceContext) -> Seen:
    node, durable, own = ctx.node, ctx.durable, ctx.own
    own_epoch = own.epoch if own else 0
    proven, runs = ctx.proven, node.services.look(ctx.service)
    return Seen(
        node=node.name,
        is_origin=ctx.is_origin,
        rank=_turn(ctx),
        own_epoch=own_epoch,
        known_epoch=newest(node.documents.grants, ctx.service),
        refused_by_epoch=durable.refused_by_epoch,
        acknowledged_epoch=durable.acknowledged_epoch,
        opened_epoch=durable.opened_epoch,
        adopts=durable.adopts,
        released=durable.released_epoch == own_epoch > 0,
        lost=ctx.lost,
        unreplicated_writes=durable.unreplicated_writes or _was_passed_over(ctx),
        branch=durable.branch,
        record=record_of(ctx),
        proof=Proof(proven.lease.sent, proven.lease.ttl_seconds, proven.epoch) if proven else None,
        local=replace(runs, address=node.network.has_address(ctx.service), healthy=ctx.healthy),
        copy=replace(_copy(ctx, own_epoch), stale_view=runs.copy and node.copies.view_is_stale(ctx.service)),
        synced=ctx.synced,
        installed_at=node.clock.boottime() if ctx.installing else ctx.installed_at,
        started_at=ctx.started_at,
        answered_at=ctx.answered_at,
        old_writer_stops_at=proven.old_writer_stops_at if proven else 0.0,
        served_at=ctx.served_at,
        origin_ready_since=_origin_ready_since(ctx),
        origin=ctx.plan.node,
        requests=_operator_requests(ctx),
        last=ctx.last,
    )


def _was_passed_over(ctx: ServiceContext) -> bool:
    """Whether the next writer went on from an older generation than the one with which this node gave the service up,
    so that what it has is only here."""
    given = ctx.durable.given
    return bool(given) and ctx.node.copies.is_orphaned(ctx.service, given) is True


def _origin_ready_since(ctx: ServiceContext) -> float | None:
    """None while nobody has said so lately."""
    if ctx.origin_ready is None:
        return None
    since, told = ctx.origin_ready
    return since if ctx.node.clock.boottime() - told <= READY_SECONDS_MAX else None


def record_of(ctx: ServiceContext) -> Record | None:
    """Return the meaning of the voters' last answer. Their revisions order takeovers and are no epochs: a claim counts
    as granted only when the newest grant that was shown names the node that claims."""
    record, granted = ctx.record, ctx.node.documents.grants.get(ctx.service)
    if record is None:
        return None
    epoch = granted.epoch if granted else 0
    owner = record.owner.node if record.owner else ""
    if owner and (granted is None or granted.writer != owner):
        epoch = next_odd(epoch)
    let_go = (
        record.owner is not None and record.owner.released and ctx.node.documents.release_of(ctx.service) is not None
    )
    holder = record.holder.node if record.holder else ""
    intent = record.intent
    return Record(
        asked=ctx.asked,
        owner=owner,
        epoch=epoch,
        holder=holder,
        released=let_go,
        to=intent.to if intent and intent.kind == "move" else "",
        vacant_since=0.0 if holder else ctx.vacant_since,
        heard_since=ctx.heard_since,
        granted=granted.epoch if granted else 0,
    )


def _turn(ctx: ServiceContext) -> int:
    """Its turn among the home and the standbys, the present owner last."""
    record, names = ctx.record, (ctx.plan.node, *ctx.plan.standbys)
    owner = record.owner.node if record and record.owner else ""
    turns = sorted(names, key=lambda name: (name == owner, names.index(name)))
    return turns.index(ctx.node.name) if ctx.node.name in turns else len(turns)


def _copy(ctx: ServiceContext, own_epoch: int) -> Copy:
    """A standby gets the newest from the writer; a home whose service is elsewhere fetches it from time to time."""
    if own_epoch and own_epoch >= newest(ctx.node.documents.grants, ctx.service):
        stands = own_epoch in (ctx.durable.opened_epoch, _adopted_epoch(ctx))
        return Copy(unfit="" if stands else ctx.node.copies.unfit(ctx.service))
    if not ctx.is_origin:
        return Copy(unfit=ctx.node.copies.unfit(ctx.service))
    if ctx.pulled_at is None:
        return Copy(unfit="nothing was fetched since another node wrote it")
    return Copy(lag=max(0.0, ctx.node.clock.boottime() - ctx.pulled_at - PULL_EVERY_SECONDS))


def _adopted_epoch(ctx: ServiceContext) -> int:
    """The epoch under which the repository here stands: an origin need not hold a copy of its own service."""
    own = ctx.node.copies.own_grant(ctx.service)
    return own.epoch if own else 0


def _operator_requests(ctx: ServiceContext) -> OperatorRequests:
    acts = acts_in_force(ctx)
    intent = ctx.record.intent if ctx.record else None
    moves = intent is not None and intent.kind == "move"
    territory = ctx.node.bundle().territory
    return OperatorRequests(
        promote=promoting(ctx, acts) is not None,
        quarantined=any(act.act == "quarantine" and act.subject == ctx.node.name for act in acts),
        paused=intent is not None and intent.kind == "pause",
        move_to=intent.to if intent and moves else "",
        leaving=moves and intent is not None and not intent.to,
        hand_back=in_handback_window(territory.hand_back, ctx.node.clock.now(), territory.timezone),
    )


def acts_in_force(ctx: ServiceContext) -> tuple[Act, ...]:
    """The acts that concern this service now, accepted here or shown by others."""
    now = ctx.node.clock.now()
    found = {act.document.digest: act for act in (*ctx.node.own_acts(), *ctx.node.documents.acts())}
    return tuple(act for act in in_force(found.values(), now) if act.service in ("any", ctx.service))


def promotions(ctx: ServiceContext, acts: tuple[Act, ...]) -> tuple[Act, ...]:
    """The acts that promote this node, in the order in which they begin: of several the last one decides."""
    mine = (act for act in acts if (act.act, act.subject) == ("promote", ctx.node.name))
    return tuple(sorted(mine, key=lambda act: (act.start, act.document.digest)))


def promoting(ctx: ServiceContext, acts: tuple[Act, ...]) -> Act | None:
    """The act that promotes this node and has not done so yet; none while it is the writer."""
    present = ctx.node.documents.grants.get(ctx.service)
    if present is None or present.writer == ctx.node.name:
        return None
    left = [act for act in promotions(ctx, acts) if act.document.digest not in ctx.durable.served_acts]
    return left[-1] if left else None


def is_due(ctx: ServiceContext, action: Action, every: float) -> bool:
    """Whether `action` was last begun `every` seconds ago or more."""
    return ctx.node.clock.boottime() >= ctx.last.get(action, float("-inf")) + every
