"""What the voters say of a service, and what this node claims of them."""

from __future__ import annotations

import secrets

from appliance.clock import utc_text
from appliance.coordination.keys import new_lease
from appliance.coordination.port import Claim, Holding, State, Taken
from appliance.errors import ApplianceError, Unreachable
from appliance.failover.situation import Situation

REQUEST_SECONDS_MAX = 4.0


def hear(it: Situation, state: State, asked: float, *, pushed: bool = False) -> None:
    """Take what the voters say, unless something newer was heard.

    What was asked after the last answer had come is newer whatever revision it has: a majority answers with the newest
    there is. One voter that once named the highest of all revisions keeps nobody from hearing the others, and neither
    does a store that was brought back from a copy. What is `pushed`, as the watch does, is ordered by revision alone.
    """
    if it.state is not None and state.revision < it.state.revision and (pushed or asked <= it.taken_at):
        return
    it.taken_at = it.site.clock.boottime()
    if asked > it.asked + it.site.timers.fresh:
        it.heard_since = it.site.clock.boottime()
    before, it.state, it.asked = it.state, state, max(asked, it.asked)
    if state.holder is None and (before is None or before.holder or before.owned != state.owned):
        it.vacant_since = it.site.clock.boottime()
    if before and before.holder and state.holder is None:
        cause = "released" if state.owner and state.owner.released else "expired"
        who, lease = before.holder.node, before.holder.lease
        it.site.tell(it.service, 0, "holder-deleted", holder=who, cause=cause, lease=lease)


def claim_on(it: Situation, state: State, reason: str, *, resumes: bool = False, ousts: int = 0) -> Claim:
    """A claim on what `state` shows; the one before, where its answer was lost and nothing has changed since."""
    site, before = it.site, it.claim
    same = before and (before.seen, before.resumes, before.ousts) == (state.owned, resumes, ousts)
    holds = before and state.holder and (state.holder.node, state.holder.lease) == (site.name, before.lease)
    if before and (same or holds):
        return before
    lease = new_lease(site.name, secrets.randbits(32))
    ttl, time = round(site.timers.ttl), utc_text(site.clock.now())
    return Claim(it.service, site.name, site.boot_id, lease, state.owned, ttl, reason, time, resumes, ousts)


async def acquire(it: Situation, claim: Claim) -> Holding:
    it.claim = claim
    try:
        held = await it.site.store.acquire(claim, seconds_max=REQUEST_SECONDS_MAX)
    except Unreachable:
        raise  # it may have been carried out: the same claim is made again
    except ApplianceError as error:
        it.claim = None
        if isinstance(error, Taken):
            hear(it, error.state, it.site.clock.boottime(), pushed=True)
        raise
    it.claim = None
    return held
