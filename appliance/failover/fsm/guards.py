"""Conditions of the table, each with the words that the printed table shows: what is printed is what is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from appliance.failover.fsm.facts import Facts
from appliance.failover.fsm.model import Action, Policy


@dataclass(frozen=True)
class Guard:
    words: str
    holds: Callable[[Facts], bool]

    def __and__(self, other: Guard) -> Guard:
        return Guard(f"{self.words}, {other.words}", lambda facts: self.holds(facts) and other.holds(facts))


ALWAYS = Guard("otherwise", lambda facts: True)

QUARANTINED = Guard("an act quarantines this node", lambda facts: facts.seen.requests.quarantined)
REFUSED = Guard("a storage peer shows a newer grant", lambda facts: facts.seen.refused_by_epoch > facts.mine)
SUPERSEDED = Guard("a newer grant is known", lambda facts: facts.superseded)
OUTDATED = Guard("its own grant is not the newest", lambda facts: facts.outdated)
OPEN = Guard("writes are still possible here", lambda facts: facts.seen.local.is_open)
UNREPLICATED = Guard("there are unreplicated writes here", lambda facts: facts.seen.unreplicated_writes)
ADOPTS = Guard("another node wrote before this node's grant", lambda facts: facts.seen.adopts)
CLEAN = Guard("there are no unreplicated writes here", lambda facts: not facts.seen.unreplicated_writes)

ALONE = Guard(
    "origin that opened it under the newest epoch, or origin of a mirror, the policy lets it continue alone",
    lambda facts: facts.alone,
)
LEASE_BOUND = Guard("not an origin that may continue alone", lambda facts: not facts.alone)
LEASE_GONE = Guard("the voters say that the lease is gone", lambda facts: facts.seen.lost)
DEADLINE_PASSED = Guard("last proof + TTL - T_stop - epsilon has passed", lambda facts: facts.now >= facts.deadline)
LEASE_GONE_OR_PASSED = Guard(
    "the lease is gone or its deadline has passed", lambda facts: facts.seen.lost or facts.now >= facts.deadline
)
PROVEN = Guard("the newest epoch is proven to be this node's", lambda facts: facts.proven)
PROVEN_SINCE = Guard(
    "a renewal sent since then is proven",
    lambda facts: facts.proven and facts.seen.proof is not None and facts.seen.proof.sent >= facts.standing.since,
)
UNPROVEN = Guard("the last renewal was not proven in time", lambda facts: facts.renewal_failed or facts.renewal_overdue)
RENEWAL_DUE = Guard("a renewal is due", lambda facts: facts.renewal_due)
RETRY_DUE = Guard("the next try is due", lambda facts: facts.due(Action.RENEW, facts.timers.retry))
RETURNABLE = Guard(
    "the voters know no newer grant and no other holder",
    lambda facts: facts.returnable and facts.due(Action.RETURN, facts.timers.retry),
)
READ_DUE = Guard(
    "the voters' last answer is becoming too old", lambda facts: facts.due(Action.READ, facts.timers.renew)
)
LATE = Guard(
    "last proof + TTL - epsilon has passed or the lease is gone, T_stop has passed, it is still open, "
    "the policy binds this node to its lease",
    lambda facts: (
        facts.seen.local.is_open
        and not (facts.seen.is_origin and facts.policy.origin_writes_alone)
        and (facts.seen.proof is None or facts.now >= facts.timers.dead_at(facts.seen.proof.sent, facts.seen.proof.ttl))
        and facts.now >= facts.standing.since + facts.timers.stop
    ),
)

ANSWERED = Guard("a majority of the voters answers", lambda facts: facts.record is not None)
SILENT = Guard("no majority of the voters answers", lambda facts: facts.record is None)
SILENT_AT_FIRST = Guard(
    "no majority of the voters has answered yet, T_boot has not passed",
    lambda facts: facts.record is None and facts.now < facts.standing.since + facts.timers.boot,
)
BELONGS_ELSEWHERE = Guard(
    "the service belongs to another node, was released, or never belonged to this node",
    lambda facts: facts.belongs_elsewhere,
)
VACANT = Guard("there is no lease holder", lambda facts: facts.vacant)
HELD_BY_ANOTHER = Guard("another node holds the lease", lambda facts: facts.held_by_another)
ORPHAN_LEASE = Guard("the voters show a lease of this node that it cannot prove", lambda facts: facts.orphan_lease)
WON = Guard("a takeover by this node is proven", lambda facts: facts.won)
PROMOTED = Guard(
    "a signed act promotes this node",
    lambda facts: facts.promoted and facts.record is not None and facts.due(Action.TAKE_OVER, facts.timers.request),
)
MIRROR = Guard(
    "the policy is mirror, this is not the origin",
    lambda facts: facts.policy is Policy.MIRROR and not facts.seen.is_origin,
)
NOT_MIRROR = Guard("the policy is not mirror", lambda facts: facts.policy is not Policy.MIRROR)
PAUSED = Guard(
    "failover is paused, or this node is leaving",
    lambda facts: facts.seen.requests.paused or facts.seen.requests.leaving,
)
COOLED = Guard("not cooling down, not paused, not leaving", lambda facts: facts.cooled and not PAUSED.holds(facts))
COOLING = Guard("cooling down", lambda facts: not facts.cooled)
RESTED = Guard("not cooling down", lambda facts: facts.cooled)
FIT = Guard("the copy is fit", lambda facts: facts.fit)
HOLDER_SILENT = Guard(
    "no broker hears any longer from the last lease holder, no worker was called since",
    lambda facts: facts.holder_silent and facts.due(Action.EXPECT, facts.timers.ttl),
)
MOVED_HERE = Guard(
    "an operator moves it to this node, no worker was called since",
    lambda facts: facts.seen.requests.move_to == facts.seen.node and facts.due(Action.EXPECT, facts.timers.ttl),
)
UNFIT = Guard("the copy is behind or unfit", lambda facts: not facts.fit)
BEHIND = Guard("the copy is behind", lambda facts: facts.seen.copy.lag > facts.timers.lag)
NEWER = Guard(
    "a newer generation exists", lambda facts: facts.seen.copy.lag > 0 and facts.due(Action.PULL, facts.timers.request)
)
PULL_DUE = Guard("the next pull is due", lambda facts: facts.due(Action.PULL, facts.timers.request))
GRACE = Guard("the grace and this node's turn have not passed", lambda facts: not facts.grace_over)
MAY_NOT_WRITE = Guard(
    "not the origin, nothing proves the writer's death", lambda facts: not facts.may_write_when_vacant
)
MAY_WRITE = Guard("the policy lets this node write now", lambda facts: facts.may_write_when_vacant)
TAKEOVER_DUE = Guard("no takeover is under way", lambda facts: facts.due(Action.TAKE_OVER, facts.timers.request))
COPY_HIDDEN = Guard("the copy is not served", lambda facts: not facts.seen.local.copy)
COPY_OUTLIVED = Guard(
    "the copy is served, another node holds the lease, the policy is not mirror",
    lambda facts: (
        facts.seen.local.copy
        and facts.held_by_another
        and facts.policy is not Policy.MIRROR
        and facts.due(Action.WITHDRAW_COPY, facts.timers.renew)
    ),
)
COPY_SHOWN = Guard("the copy is served", lambda facts: facts.seen.local.copy)
STALE_VIEW = Guard(
    "a newer copy than the one served is here",
    lambda facts: facts.seen.copy.stale_view and facts.due(Action.SERVE_COPY, facts.timers.renew),
)

TOO_LONG = Guard(
    "T_prom has passed, not counting the time to install its files",
    lambda facts: facts.now >= max(facts.standing.since, facts.seen.installed_at) + facts.timers.promote,
)
NO_GRANT = Guard("the grant of the epoch is not here", lambda facts: facts.mine > facts.seen.own_epoch)
DEPOSED = Guard(
    "the deposed writer may still run by its clock", lambda facts: facts.now < facts.seen.old_writer_stops_at
)
UNKNOWN_TO_PEERS = Guard(
    "no storage peer has accepted the epoch", lambda facts: facts.seen.acknowledged_epoch < facts.seen.own_epoch
)
NOT_STARTED = Guard(
    "the service does not run writable", lambda facts: not (facts.seen.local.writer and facts.seen.local.writable)
)
NOT_ANSWERING = Guard("the service does not answer", lambda facts: not facts.seen.local.healthy)
HUNG = Guard(
    "it runs and has not answered for T_prom, or never since its start for T_recover, not counting the time to "
    "install its files",
    lambda facts: facts.seen.local.writer and not facts.seen.local.healthy and facts.now >= facts.answers_until,
)
NO_ADDRESS = Guard("the address is not here", lambda facts: not facts.seen.local.address)
NOT_SERVED = Guard("the service does not run, answer or have its address", lambda facts: not facts.seen.local.served)
HELD = Guard("writes of clients are held", lambda facts: facts.seen.local.held or facts.seen.local.holding)
NOT_HELD = Guard("clients may still write", lambda facts: facts.seen.local.writer and not facts.seen.local.held)

HANDOVER_REQUESTED = Guard("a handover is requested", lambda facts: facts.hand_over_to is not None)
HAND_OVER_DUE = Guard("no handover failed recently", lambda facts: facts.hand_over_due)
HANDOVER_CANCELLED = Guard("the handover is no longer requested", lambda facts: facts.hand_over_to is None)
DRAINED_TOO_LONG = Guard("T_drain has passed", lambda facts: facts.now >= facts.standing.since + facts.timers.drain)
NOT_SYNCED = Guard("the next writer does not have everything", lambda facts: not facts.seen.synced)

BRANCH_NOT_SAVED = Guard("the branch is not saved yet", lambda facts: facts.seen.branch_unsaved)
KEEP_DUE = Guard("the next try is due", lambda facts: facts.branch_due)
RUNS_PROVEN = Guard(
    "an earlier agent left a proof that is still valid, and the service runs",
    lambda facts: facts.proven and facts.mine == facts.seen.own_epoch and facts.seen.local.served,
)
LIFTED = Guard(
    "no quarantine and no newer epoch", lambda facts: not facts.seen.requests.quarantined and not facts.outdated
)
