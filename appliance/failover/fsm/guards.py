"""Conditions of the table, each with the words that the printed table shows: what is printed is what is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from appliance.failover.fsm.facts import Facts
from appliance.failover.fsm.model import Action, Policy
from appliance.node.branch import Branch


@dataclass(frozen=True)
class Guard:
    words: str
    holds: Callable[[Facts], bool]

    def __and__(self, other: Guard) -> Guard:
        return Guard(f"{self.words}, {other.words}", lambda it: self.holds(it) and other.holds(it))


ALWAYS = Guard("otherwise", lambda it: True)

QUARANTINED = Guard("an act quarantines this node", lambda it: it.seen.wishes.quarantined)
REFUSED = Guard("a storage peer shows a newer grant", lambda it: it.seen.refused_by_epoch > it.mine)
SUPERSEDED = Guard("a newer grant is known", lambda it: it.superseded)
OUTDATED = Guard("its own grant is not the newest", lambda it: it.outdated)
OPEN = Guard("writes are still possible here", lambda it: it.seen.local.is_open)
TAIL = Guard("there are unreplicated writes here", lambda it: it.seen.tail)
ADOPTS = Guard("another node wrote before this node's grant", lambda it: it.seen.adopts)
CLEAN = Guard("there are no unreplicated writes here", lambda it: not it.seen.tail)

ALONE = Guard(
    "origin that opened it under the newest epoch, or origin of a mirror, the policy lets it continue alone",
    lambda it: it.alone,
)
BOUND = Guard("not an origin that may continue alone", lambda it: not it.alone)
LOST = Guard("the voters say that the lease is gone", lambda it: it.seen.lost)
PAST = Guard("last proof + TTL - T_stop - epsilon has passed", lambda it: it.now >= it.deadline)
LOST_OR_PAST = Guard("the lease is gone or its deadline has passed", lambda it: it.seen.lost or it.now >= it.deadline)
PROVEN = Guard("the newest epoch is proven to be this node's", lambda it: it.proven)
PROVEN_SINCE = Guard(
    "a renewal sent since then is proven",
    lambda it: it.proven and it.seen.proof is not None and it.seen.proof.sent >= it.standing.since,
)
UNPROVEN = Guard("the last renewal was not proven in time", lambda it: it.renewal_failed or it.renewal_overdue)
RENEWAL_DUE = Guard("a renewal is due", lambda it: it.renewal_due)
RETRY_DUE = Guard("the next try is due", lambda it: it.due(Action.RENEW, it.timers.retry))
RETURNABLE = Guard(
    "the voters know no newer grant and no other holder",
    lambda it: it.returnable and it.due(Action.RETURN, it.timers.retry),
)
READ_DUE = Guard("the voters' last answer is becoming too old", lambda it: it.due(Action.READ, it.timers.renew))
LATE = Guard(
    "last proof + TTL - epsilon has passed or the lease is gone, T_stop has passed, it is still open, "
    "the policy binds this node to its lease",
    lambda it: (
        it.seen.local.is_open
        and not (it.seen.home and it.policy.home_writes_alone)
        and (it.seen.proof is None or it.now >= it.timers.dead_at(it.seen.proof.sent, it.seen.proof.ttl))
        and it.now >= it.standing.since + it.timers.stop
    ),
)

ANSWERED = Guard("a majority of the voters answers", lambda it: it.record is not None)
SILENT = Guard("no majority of the voters answers", lambda it: it.record is None)
SILENT_AT_FIRST = Guard(
    "no majority of the voters has answered yet, T_boot has not passed",
    lambda it: it.record is None and it.now < it.standing.since + it.timers.boot,
)
ANOTHERS = Guard(
    "the service belongs to another node, was released, or never belonged to this node",
    lambda it: it.anothers,
)
VACANT = Guard("there is no lease holder", lambda it: it.vacant)
BACK = Guard("another node holds the lease", lambda it: it.held_by_another)
STRAY = Guard("the voters show a lease of this node that it cannot prove", lambda it: it.stray)
WON = Guard("a takeover by this node is proven", lambda it: it.won)
PROMOTED = Guard(
    "a signed act promotes this node",
    lambda it: it.promoted and it.record is not None and it.due(Action.TAKE_OVER, it.timers.request),
)
MIRROR = Guard(
    "the policy is mirror, this is not the origin", lambda it: it.policy is Policy.MIRROR and not it.seen.home
)
NOT_MIRROR = Guard("the policy is not mirror", lambda it: it.policy is not Policy.MIRROR)
PAUSED = Guard(
    "failover is paused, or this node is leaving", lambda it: it.seen.wishes.paused or it.seen.wishes.leaving
)
COOLED = Guard("not cooling down, not paused, not leaving", lambda it: it.cooled and not PAUSED.holds(it))
COOLING = Guard("cooling down", lambda it: not it.cooled)
RESTED = Guard("not cooling down", lambda it: it.cooled)
FIT = Guard("the copy is fit", lambda it: it.fit)
QUIET = Guard(
    "no broker hears any longer from the last lease holder, no worker was called since",
    lambda it: it.quiet and it.due(Action.EXPECT, it.timers.ttl),
)
NEXT = Guard(
    "an operator moves it to this node, no worker was called since",
    lambda it: it.seen.wishes.move_to == it.seen.node and it.due(Action.EXPECT, it.timers.ttl),
)
UNFIT = Guard("the copy is behind or unfit", lambda it: not it.fit)
BEHIND = Guard("the copy is behind", lambda it: it.seen.copy.lag > it.timers.lag)
NEWER = Guard("a newer generation exists", lambda it: it.seen.copy.lag > 0 and it.due(Action.PULL, it.timers.request))
PULL_DUE = Guard("the next pull is due", lambda it: it.due(Action.PULL, it.timers.request))
GRACE = Guard("the grace and this node's turn have not passed", lambda it: not it.grace_over)
MAY_NOT_WRITE = Guard("not the origin, nothing proves the writer's death", lambda it: not it.may_write_when_vacant)
MAY_WRITE = Guard("the policy lets this node write now", lambda it: it.may_write_when_vacant)
TAKEOVER_DUE = Guard("no takeover is under way", lambda it: it.due(Action.TAKE_OVER, it.timers.request))
COPY_HIDDEN = Guard("the copy is not served", lambda it: not it.seen.local.copy)
COPY_OUTLIVED = Guard(
    "the copy is served, another node holds the lease, the policy is not mirror",
    lambda it: (
        it.seen.local.copy
        and it.held_by_another
        and it.policy is not Policy.MIRROR
        and it.due(Action.WITHDRAW_COPY, it.timers.renew)
    ),
)
COPY_SHOWN = Guard("the copy is served", lambda it: it.seen.local.copy)
COPY_OUTDONE = Guard(
    "a newer copy than the one served is here",
    lambda it: it.seen.copy.outdone and it.due(Action.SERVE_COPY, it.timers.renew),
)

TOO_LONG = Guard(
    "T_prom has passed, not counting the time to install its files",
    lambda it: it.now >= max(it.standing.since, it.seen.laid_at) + it.timers.promote,
)
NO_GRANT = Guard("the grant of the epoch is not here", lambda it: it.mine > it.seen.own_epoch)
DEPOSED = Guard("the deposed writer may still run by its clock", lambda it: it.now < it.seen.deposed_until)
UNKNOWN_TO_PEERS = Guard(
    "no storage peer has accepted the epoch", lambda it: it.seen.acknowledged_epoch < it.seen.own_epoch
)
NOT_STARTED = Guard(
    "the service does not run writable", lambda it: not (it.seen.local.writer and it.seen.local.writable)
)
SICK = Guard("the service does not answer", lambda it: not it.seen.local.healthy)
HUNG = Guard(
    "it runs and has not answered for T_prom, or never since its start for T_recover, not counting the time to "
    "install its files",
    lambda it: it.seen.local.writer and not it.seen.local.healthy and it.now >= it.answers_until,
)
NO_ADDRESS = Guard("the address is not here", lambda it: not it.seen.local.address)
NOT_SERVED = Guard("the service does not run, answer or have its address", lambda it: not it.seen.local.served)
HELD = Guard("writes of clients are held", lambda it: it.seen.local.held or it.seen.local.holding)
NOT_HELD = Guard("clients may still write", lambda it: it.seen.local.writer and not it.seen.local.held)

HANDED = Guard("a handover is requested", lambda it: it.handed_to is not None)
HAND_OVER_DUE = Guard("no handover failed recently", lambda it: it.hand_over_due)
NOT_HANDED = Guard("the handover is no longer requested", lambda it: it.handed_to is None)
DRAINED_TOO_LONG = Guard("T_drain has passed", lambda it: it.now >= it.standing.since + it.timers.drain)
NOT_SYNCED = Guard("the next writer does not have everything", lambda it: not it.seen.synced)

UNKEPT = Guard("the branch is not saved yet", lambda it: it.seen.branch is Branch.NONE)
KEEP_DUE = Guard("the next try is due", lambda it: it.branch_due)
RUNS_PROVEN = Guard(
    "an earlier agent left a proof that is still valid, and the service runs",
    lambda it: it.proven and it.mine == it.seen.own_epoch and it.seen.local.served,
)
LIFTED = Guard("no quarantine and no newer epoch", lambda it: not it.seen.wishes.quarantined and not it.outdated)
