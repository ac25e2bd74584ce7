"""One look: what a node sees of a service at a moment, from what it keeps, was told, and has running."""

from __future__ import annotations

from dataclasses import replace

from appliance.failover.fsm.model import Action, Copy, Proof, Record, Seen, Wishes
from appliance.failover.night import is_night
from appliance.failover.papers import newest
from appliance.failover.situation import Situation
from appliance.trust.act import Act
from appliance.trust.in_force import in_force
from appliance.trust.voting import next_odd

PULL_EVERY_SECONDS = 60.0
READY_SECONDS_MAX = 10.0
"""How old a home's word that it is ready may be: all that hangs on it is a move that loses nothing."""


def observe(it: Situation) -> Seen:
    site, kept, own = it.site, it.kept, it.own
    own_epoch = own.epoch if own else 0
    lease, runs = it.lease, site.services.look(it.service)
    return Seen(
        node=site.name,
        home=it.home,
        rank=_turn(it),
        own_epoch=own_epoch,
        known_epoch=newest(site.papers.grants, it.service),
        refused_by_epoch=kept.refused_by_epoch,
        acknowledged_epoch=kept.acknowledged_epoch,
        opened_epoch=kept.opened_epoch,
        adopts=kept.adopts,
        released=kept.released_epoch == own_epoch > 0,
        lost=it.lost,
        tail=kept.tail or _was_passed_over(it),
        branch=kept.branch,
        record=record_of(it),
        proof=Proof(lease.holding.sent, lease.holding.ttl_seconds, lease.epoch) if lease else None,
        local=replace(runs, address=site.network.has_address(it.service), healthy=it.healthy),
        copy=replace(_copy(it, own_epoch), outdone=runs.copy and site.copies.outdone(it.service)),
        synced=it.synced,
        laid_at=site.clock.boottime() if it.laying else it.laid_at,
        started_at=it.started_at,
        answered_at=it.answered_at,
        deposed_until=lease.deposed_until if lease else 0.0,
        served_at=it.served_at,
        home_ready_since=_home_ready_since(it),
        home_name=it.plan.node,
        wishes=_wishes(it),
        last=it.last,
    )


def _was_passed_over(it: Situation) -> bool:
    """Whether the next writer went on from an older generation than the one with which this node gave the service up,
    so that what it has is only here."""
    given = it.kept.given
    return bool(given) and it.site.copies.goes_on_without(it.service, given) is True


def _home_ready_since(it: Situation) -> float | None:
    """None while nobody has said so lately."""
    if it.home_ready is None:
        return None
    since, told = it.home_ready
    return since if it.site.clock.boottime() - told <= READY_SECONDS_MAX else None


def record_of(it: Situation) -> Record | None:
    """What the voters' last answer means. Their revisions order takeovers and are no epochs: a claim counts as granted
    only when the newest grant that was shown is of who claims."""
    state, granted = it.state, it.site.papers.grants.get(it.service)
    if state is None:
        return None
    epoch = granted.epoch if granted else 0
    owner = state.owner.node if state.owner else ""
    if owner and (granted is None or granted.writer != owner):
        epoch = next_odd(epoch)
    let_go = state.owner is not None and state.owner.released and it.site.papers.release_of(it.service) is not None
    holder = state.holder.node if state.holder else ""
    intent = state.intent
    return Record(
        asked=it.asked,
        owner=owner,
        epoch=epoch,
        holder=holder,
        released=let_go,
        to=intent.to if intent and intent.kind == "move" else "",
        vacant_since=0.0 if holder else it.vacant_since,
        heard_since=it.heard_since,
        granted=granted.epoch if granted else 0,
    )


def _turn(it: Situation) -> int:
    """Its turn among the home and the standbys, the present owner last."""
    state, names = it.state, (it.plan.node, *it.plan.standbys)
    owner = state.owner.node if state and state.owner else ""
    turns = sorted(names, key=lambda name: (name == owner, names.index(name)))
    return turns.index(it.site.name) if it.site.name in turns else len(turns)


def _copy(it: Situation, own_epoch: int) -> Copy:
    """A standby gets the newest from the writer; a home whose service is elsewhere fetches it from time to time."""
    if own_epoch and own_epoch >= newest(it.site.papers.grants, it.service):
        stands = own_epoch in (it.kept.opened_epoch, _adopted_epoch(it))
        return Copy(unfit="" if stands else it.site.copies.unfit(it.service))
    if not it.home:
        return Copy(unfit=it.site.copies.unfit(it.service))
    if it.pulled_at is None:
        return Copy(unfit="nothing was fetched since another node wrote it")
    return Copy(lag=max(0.0, it.site.clock.boottime() - it.pulled_at - PULL_EVERY_SECONDS))


def _adopted_epoch(it: Situation) -> int:
    """The epoch under which the repository here stands: an origin need not hold a copy of its own service."""
    own = it.site.copies.own_grant(it.service)
    return own.epoch if own else 0


def _wishes(it: Situation) -> Wishes:
    acts = acts_in_force(it)
    intent = it.state.intent if it.state else None
    moves = intent is not None and intent.kind == "move"
    territory = it.site.bundle().territory
    return Wishes(
        promote=promoting(it, acts) is not None,
        quarantined=any(act.act == "quarantine" and act.subject == it.site.name for act in acts),
        paused=intent is not None and intent.kind == "pause",
        move_to=intent.to if intent and moves else "",
        leaving=moves and intent is not None and not intent.to,
        hand_back=is_night(territory.hand_back, it.site.clock.now(), territory.timezone),
    )


def acts_in_force(it: Situation) -> tuple[Act, ...]:
    """The acts that concern this service now, accepted here or shown by others."""
    now = it.site.clock.now()
    found = {act.document.digest: act for act in (*it.site.own_acts(), *it.site.papers.acts())}
    return tuple(act for act in in_force(found.values(), now) if act.service in ("any", it.service))


def promotions(it: Situation, acts: tuple[Act, ...]) -> tuple[Act, ...]:
    """The acts that promote this node, in the order in which they begin: of several the last one decides."""
    mine = (act for act in acts if (act.act, act.subject) == ("promote", it.site.name))
    return tuple(sorted(mine, key=lambda act: (act.start, act.document.digest)))


def promoting(it: Situation, acts: tuple[Act, ...]) -> Act | None:
    """The act that promotes this node and has not done so yet; none while it is the writer."""
    present = it.site.papers.grants.get(it.service)
    if present is None or present.writer == it.site.name:
        return None
    left = [act for act in promotions(it, acts) if act.document.digest not in it.kept.served_acts]
    return left[-1] if left else None


def is_due(it: Situation, action: Action, every: float) -> bool:
    """Whether `action` was last begun `every` seconds ago or more."""
    return it.site.clock.boottime() >= it.last.get(action, float("-inf")) + every
