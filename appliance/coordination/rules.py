"""What a transaction's answer means, the same for every store: who is in the way, and was a repeated claim ours."""

from __future__ import annotations

from appliance.coordination.port import Claim, Holding, Lost, State, Taken
from appliance.errors import Refused
from appliance.units import MINUTE

LEASE_SECONDS_MAX = MINUTE
"""For which a service may be held without a renewal."""


def check_granted(claim: Claim, ttl_seconds: int) -> None:
    """Raise Refused for a lease that was there already and lasts longer: one of what a node announces has an hour."""
    if ttl_seconds > LEASE_SECONDS_MAX:
        raise Refused(f"lease {claim.lease} was created for {ttl_seconds} s: it holds no service.")


def may_resume(state: State, claim: Claim) -> bool:
    """Whether the owner that `claim` saw is its own node, which has not given the service up since."""
    owner = state.owner
    return owner is not None and (owner.node, owner.revision, owner.released) == (claim.node, claim.seen, False)


def held_already(state: State, claim: Claim, ttl_seconds: int, sent: float) -> Holding | None:
    """What `claim` holds since it was made before, its answer having been lost; None when that was not so."""
    holder, owner = state.holder, state.owner
    if holder is None or owner is None or (holder.node, holder.lease) != (claim.node, claim.lease):
        return None
    if owner.revision != (claim.seen if claim.resumes else holder.revision):
        return None
    return Holding(claim.service, claim.node, claim.lease, owner.revision, holder.revision, ttl_seconds, sent)


def is_held(state: State, holding: Holding) -> bool:
    """Whether `state` proves `holding`."""
    return state.owned == holding.revision and state.holder is not None and state.holder.revision == holding.since


def is_released(state: State, holding: Holding) -> bool:
    """Whether `holding` was released before, the answer having been lost."""
    owner = state.owner
    return owner is not None and owner.released and owner.node == holding.node and owner.revision > holding.revision


def taken(state: State) -> Taken:
    """`state` stands in the way of a claim."""
    if state.holder:
        return Taken(f"{state.service} is held by {state.holder.node}.", state)
    if state.owner:
        gone = "was released by" if state.owner.released else "belongs to"
        return Taken(f"{state.service} {gone} {state.owner.node} since revision {state.owner.revision}.", state)
    return Taken(f"{state.service} has no owner: the store is new or was restored.", state)


def lost(state: State) -> Lost:
    """`state` shows that a holding is over."""
    if state.holder:
        return Lost(f"{state.service} is held by {state.holder.node} now.")
    return Lost(f"the lease on {state.service} has expired.")


def intended_already(state: State) -> Taken:
    """Two people at once: the second one waits, or talks to the first."""
    intent = state.intent
    what = f"{intent.by} already intends to {intent.kind} {state.service}" if intent else f"{state.service} was busy"
    return Taken(
        f"{what}.",
        state,
        remedy="Wait until that has ended, or ask that operator to end it: see `appliance failover status`.",
    )
