"""The meaning of a transaction's answer, the same for every store: who is in the way, and was a repeated claim ours."""

from __future__ import annotations

from appliance.coordination.port import Claim, Lease, Lost, ServiceRecord, Taken
from appliance.errors import Refused
from appliance.units import MINUTE

LEASE_SECONDS_MAX = MINUTE
"""For which a service may be held without a renewal."""


def check_granted(claim: Claim, ttl_seconds: int) -> None:
    """Raise Refused for a lease that was there already and lasts longer: one of what a node announces has an hour."""
    if ttl_seconds > LEASE_SECONDS_MAX:
        raise Refused(f"lease {claim.lease} was created for {ttl_seconds} s: it holds no service.")


def may_resume(record: ServiceRecord, claim: Claim) -> bool:
    """Whether the owner that `claim` saw is its own node, which has not given the service up since."""
    owner = record.owner
    return owner is not None and (owner.node, owner.revision, owner.released) == (claim.node, claim.seen, False)


def held_already(record: ServiceRecord, claim: Claim, ttl_seconds: int, sent: float) -> Lease | None:
    """Return the lease of a `claim` that was made before, its answer having been lost; None when that was not so."""
    holder, owner = record.holder, record.owner
    if holder is None or owner is None or (holder.node, holder.lease) != (claim.node, claim.lease):
        return None
    if owner.revision != (claim.seen if claim.resumes else holder.revision):
        return None
    return Lease(claim.service, claim.node, claim.lease, owner.revision, holder.revision, ttl_seconds, sent)


def is_held(record: ServiceRecord, lease: Lease) -> bool:
    """Whether `record` proves `lease`."""
    return record.owned == lease.revision and record.holder is not None and record.holder.revision == lease.since


def is_released(record: ServiceRecord, lease: Lease) -> bool:
    """Whether `lease` was released before, the answer having been lost."""
    owner = record.owner
    return owner is not None and owner.released and owner.node == lease.node and owner.revision > lease.revision


def taken(record: ServiceRecord) -> Taken:
    """`record` stands in the way of a claim."""
    if record.holder:
        return Taken(f"{record.service} is held by {record.holder.node}.", record)
    if record.owner:
        gone = "was released by" if record.owner.released else "belongs to"
        return Taken(f"{record.service} {gone} {record.owner.node} since revision {record.owner.revision}.", record)
    return Taken(f"{record.service} has no owner: the store is new or was restored.", record)


def lost(record: ServiceRecord) -> Lost:
    """`record` shows that a holding is over."""
    if record.holder:
        return Lost(f"{record.service} is held by {record.holder.node} now.")
    return Lost(f"the lease on {record.service} has expired.")


def intended_already(record: ServiceRecord) -> Taken:
    """Two people at once: the second one waits, or talks to the first."""
    intent = record.intent
    what = f"{intent.by} already intends to {intent.kind} {record.service}" if intent else f"{record.service} was busy"
    return Taken(
        f"{what}.",
        record,
        remedy="Wait until that has ended, or ask that operator to end it: see `appliance failover status`.",
    )
