"""The meaning of one look under a policy at a moment: the words in which the rows of the table are written. Pure.

The invariant that all of it serves: at most one node writes a service, but for an origin that goes on alone by policy.
So a node that is bound to a lease takes itself for deposed as soon as it cannot prove the contrary. A newer epoch is
believed from any source that shows it with its signed grant, and never without: an attacker who writes into the voters'
store can stop the nodes that are bound to it, but never an origin, and never make any node drop a byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from appliance.failover.fsm.model import Action, Policy, Record, Seen, Standing
from appliance.failover.fsm.timers import COOLDOWN_MAX, Timers


@dataclass(frozen=True)
class Facts:
    standing: Standing
    seen: Seen
    policy: Policy
    timers: Timers
    now: float

    @cached_property
    def mine(self) -> int:
        """The newest epoch that this node has, granted or just taken."""
        proof = self.seen.proof
        return max(self.seen.own_epoch, proof.epoch if proof else 0)

    @cached_property
    def newest(self) -> int:
        """The newest epoch of which anything here, a voter or a peer shows the grant."""
        record = self.seen.record
        shown = record.granted if record is not None else 0
        return max(self.seen.own_epoch, self.seen.known_epoch, self.seen.refused_by_epoch, shown)

    @property
    def above(self) -> int:
        """The highest number that was used or only claimed: no new epoch may be lower."""
        record = self.seen.record
        return max(self.newest_or_mine, record.epoch if record else 0)

    @property
    def superseded(self) -> bool:
        return self.newest > self.mine

    @property
    def outdated(self) -> bool:
        """Whether the newest epoch is not that of a grant here: a lease that was just won does not count."""
        return self.seen.own_epoch < self.newest_or_mine

    @cached_property
    def record(self) -> Record | None:
        """The present record of the voters; None when no majority has answered lately."""
        record = self.seen.record
        return record if record is not None and self.now - record.asked <= self.timers.fresh else None

    @property
    def vacant(self) -> bool:
        return self.record is not None and not self.record.holder

    @property
    def held_by_another(self) -> bool:
        return self.record is not None and self.record.holder not in ("", self.seen.node)

    @property
    def owned_by_another(self) -> bool:
        return self.record is not None and self.record.owner not in ("", self.seen.node)

    @property
    def belongs_elsewhere(self) -> bool:
        """Whether this node has nothing to go on with: a home needs to be shown a grant before it believes that."""
        return not self.last_writer or (self.owned_by_another and not self.alone)

    @property
    def orphan_lease(self) -> bool:
        """A lease of this node's that it has no proof of: an answer to a takeover or a release was lost."""
        return self.record is not None and self.record.holder == self.seen.node and self.seen.proof is None

    @property
    def released(self) -> bool:
        """Whether the owner let go cleanly: a proof that it writes no more, if it ever was granted the service."""
        return self.record is not None and self.record.released and self.record.granted >= self.record.epoch

    @cached_property
    def deadline(self) -> float:
        """From when nothing may be written here that is bound to a lease; in the past without a proof."""
        proof = self.seen.proof
        return self.timers.demote_at(proof.sent, proof.ttl) if proof else float("-inf")

    @property
    def proven(self) -> bool:
        """Whether a renewal of the newest epoch is proven and time is left."""
        proof = self.seen.proof
        return proof is not None and proof.epoch == self.newest_or_mine and self.now < self.deadline

    @property
    def newest_or_mine(self) -> int:
        return max(self.newest, self.mine)

    @cached_property
    def alone(self) -> bool:
        """Whether this node may write for ever without a lease: the home, under its own newest grant, not let go.

        Under a grant that it was given and never opened it has not even the data yet: others may still be writing it.
        Nobody else writes a mirror, so its home lays the data in place as it starts.
        """
        return (
            self.seen.is_origin
            and self.policy.origin_writes_alone
            and self.last_writer
            and (self.seen.opened_epoch == self.seen.own_epoch or self.policy is Policy.MIRROR)
            and not self.seen.requests.quarantined
        )

    @property
    def won(self) -> bool:
        """A takeover was proven whose grant is not here yet."""
        return self.proven and self.mine > self.seen.own_epoch

    @property
    def returnable(self) -> bool:
        """Whether this node's epoch still stands and nobody else has the lease: the voters' transaction makes sure.

        No node ever has the lease of a mirror.
        """
        return (
            self.policy.others_write
            and self.last_writer
            and self.record is not None
            and not self.held_by_another
            and (self.alone or not self.owned_by_another)
        )

    @property
    def _proof_sent(self) -> float:
        return self.seen.proof.sent if self.seen.proof else float("-inf")

    @property
    def renewal_failed(self) -> bool:
        """Whether a renewal was sent after the last proven one and had its time."""
        tried = self.seen.last.get(Action.RENEW, float("-inf"))
        return tried > self._proof_sent and self.now >= tried + self.timers.request

    @property
    def renewal_due(self) -> bool:
        """A takeover that was won proves as much as a renewal does."""
        every = self.timers.retry if self.renewal_failed else self.timers.renew
        return self.due(Action.RENEW, every) and self.now >= self._proof_sent + every

    @property
    def holder_silent(self) -> bool:
        """Whether no broker hears any more of who served it a moment ago: brokers know sooner than a lease ends, and
        each tells a node every two or three seconds."""
        at, silent = self.seen.served_at, self.timers.renew + self.timers.request
        return at is not None and silent <= self.now - at <= silent + self.timers.ttl

    @property
    def renewal_overdue(self) -> bool:
        return self.now >= self._proof_sent + self.timers.renew + 2 * self.timers.request

    def due(self, action: Action, every: float) -> bool:
        """Whether `action` was last begun `every` seconds ago or more."""
        return self.now >= self.seen.last.get(action, float("-inf")) + every

    @property
    def grace_over(self) -> bool:
        vacant_since = self.record.vacant_since if self.record is not None else 0.0
        return self.now >= max(self.standing.since, vacant_since, self._back_until) + self.grace_seconds

    @property
    def _back_until(self) -> float:
        """Until when the owner may come back: what kept the voters from this node may have kept them from that one,
        which asks as often and goes on under its epoch, unless it let go."""
        if self.record is None or self.record.released or not self.record.owner:
            return float("-inf")
        return self.record.heard_since + self.timers.renew + self.timers.request

    @property
    def grace_seconds(self) -> float:
        """How long a vacancy must have been seen: each candidate its turn, who was named before all others, and who
        let go after all others, until somebody was granted the service since."""
        named = self.record.to if self.record is not None and self.record.released else ""
        if named == self.seen.node:
            return 0.0
        wait = self.timers.grace + self.seen.rank * self.timers.rank
        let_go = self.seen.released and not self.outdated
        return wait + self.timers.promote if named or let_go else wait

    @property
    def cooled(self) -> bool:
        return self._rested(self.standing.failures, self.standing.failed_at)

    @property
    def hand_over_due(self) -> bool:
        return self._rested(self.standing.failed_handovers, self.standing.last_failed_handover_at)

    def _rested(self, failures: int, at: float) -> bool:
        return not failures or self.now >= at + self.timers.cooldown_seconds(failures)

    @property
    def may_write_when_vacant(self) -> bool:
        """Whether the end of the holder's lease is enough: not for another than the home where the home may go on,
        unless the last writer let go or was this node itself."""
        proof = self.released or self.last_writer
        return not self.policy.needs_proof_of_death or self.seen.is_origin or (self.policy.others_write and proof)

    @property
    def last_writer(self) -> bool:
        """Whether the newest grant is this node's and still stands: nobody else may have written since."""
        return self.seen.own_epoch > 0 and not self.outdated and not self.seen.released

    @property
    def promoted(self) -> bool:
        return self.seen.requests.promote and (self.policy.others_write or self.seen.is_origin)

    @property
    def fit(self) -> bool:
        return not self.seen.copy.unfit and self.seen.copy.lag <= self.timers.lag

    @property
    def answers_until(self) -> float:
        """The deadline for an answer of a service that runs here alone. After a power cut on a slow disk it may have
        much to recover before its first answer, and to stop it makes it start over."""
        seen = self.seen
        came_up = seen.answered_at > 0 and seen.answered_at >= seen.started_at
        since = max(self.standing.since, seen.installed_at, seen.started_at, seen.answered_at)
        return since + (self.timers.promote if came_up else self.timers.recover)

    @property
    def branch_due(self) -> bool:
        """Whether to try again to keep what was written here: after as long as that has failed by then, from a minute
        to an hour."""
        tried = self.seen.last.get(Action.KEEP_BRANCH, float("-inf"))
        failed_for = tried - self.standing.since
        return failed_for < 0 or self.now >= tried + min(COOLDOWN_MAX, max(self.timers.cooldown, failed_for))

    @property
    def hand_over_to(self) -> str | None:
        """The node to which this lease holder must hand over: a name, "" for the next candidate, None for no
        handover."""
        requests = self.seen.requests
        if not self.policy.others_write:
            return None
        if requests.leaving:
            return ""
        if requests.move_to and requests.move_to != self.seen.node:
            return requests.move_to
        return self.seen.origin if self._origin_may_have_it else None

    @property
    def _origin_may_have_it(self) -> bool:
        ready = self.seen.origin_ready_since
        return (
            not self.seen.is_origin
            and self.seen.requests.hand_back
            and not self.seen.requests.paused
            and ready is not None
            and self.now >= ready + self.timers.settle
        )
