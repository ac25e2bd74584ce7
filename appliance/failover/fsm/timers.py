"""The times of failover, in seconds, and the rule that keeps a holder able to prove its lease in time.

    TTL >= renew + 2 * request * tries + stop + epsilon

A holder that renews every `renew` seconds must be able to ask `tries` voters one after the other, two requests each
(renew, then prove), before it has to begin to stop. The figures are those of measured prototypes: at TTL 15 a lease
ends 15.19 to 15.55 s after the last renewal was sent, and 20 % of packets lost cause no failover.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from appliance.errors import UsageError
from appliance.units import HOUR, MINUTE

COOLDOWN_MAX = HOUR
_OF_A_LEASE = ("ttl", "renew", "retry", "connect", "request", "stop", "epsilon", "rank", "fresh", "boot")
FORGIVEN_AFTER = HOUR
"""A failure so long after the last one counts as the first."""


@dataclass(frozen=True)
class Timers:
    """`grace`: how long who comes first lets a holder come back that could not renew for a lease, and closed long ago;
    that is a question to the voters, however long a lease is.
    `lag`: for how long a newer generation may exist before a copy is behind. `settle`: how long a home must be
    caught up before it gets its service back. `recover`: for how long what a home serves alone may recover before it
    first answers. `fresh`: how old an answer of the voters may be to count as present.
    """

    ttl: float = 15.0
    renew: float = 3.0
    retry: float = 0.3
    connect: float = 0.7
    request: float = 1.5
    tries: int = 2
    stop: float = 2.0
    epsilon: float = 0.5
    grace: float = 0.5
    rank: float = 1.0
    fresh: float = 6.0
    boot: float = 10.0
    promote: float = 30.0
    recover: float = 10.0 * MINUTE
    drain: float = 60.0
    cooldown: float = 60.0
    lag: float = 5.0 * MINUTE
    settle: float = 5.0 * MINUTE

    def __post_init__(self) -> None:
        for each in fields(self):
            if getattr(self, each.name) <= 0:
                raise UsageError(f"{each.name} is {getattr(self, each.name)}; it must be more than 0.")
        if self.ttl < self.ttl_min:
            raise UsageError(
                f"a lease of {self.ttl:g} s is too short for these timers: "
                f"renew {self.renew:g} + 2 x {self.request:g} x {self.tries} tries + stop {self.stop:g} "
                f"+ epsilon {self.epsilon:g} = {self.ttl_min:g} s.",
                remedy=f"Set ttl to {self.ttl_min:g} s or more, or renew more often.",
            )
        if self.retry >= self.renew:
            raise UsageError(
                f"retry is {self.retry:g} s and renew {self.renew:g} s; a failed renewal is tried again sooner.",
                remedy="Set retry below renew.",
            )
        if self.promote <= self.ttl:
            raise UsageError(
                f"promote is {self.promote:g} s, not more than a lease of {self.ttl:g} s: a node that deposes a "
                "lease holder waits for its lease first, and would always give up.",
                remedy="Set promote above ttl.",
            )
        if self.recover < self.promote:
            raise UsageError(
                f"recover is {self.recover:g} s, less than promote, {self.promote:g} s: a starting service would be "
                "stopped sooner than a hanging one.",
                remedy="Set recover to promote or more.",
            )
        if self.fresh < self.renew + self.request:
            raise UsageError(
                f"fresh is {self.fresh:g} s, less than renew + request, {self.renew + self.request:g} s: answers "
                "would expire between two questions.",
                remedy=f"Set fresh to {self.renew + self.request:g} s or more.",
            )

    @classmethod
    def of_lease(cls, seconds: float) -> Timers:
        """The timers of a lease of `seconds`: what counts within a lease in proportion, what is work as it is; a home
        settles for twenty leases, five minutes at most."""
        usual, share = cls(), seconds / cls.ttl
        scaled = {name: getattr(usual, name) * share for name in _OF_A_LEASE}
        settle = min(usual.settle, usual.settle * share)
        return replace(usual, **scaled, promote=max(usual.promote, 2 * seconds), settle=settle)

    @property
    def ttl_min(self) -> float:
        return self.renew + 2 * self.request * self.tries + self.stop + self.epsilon

    def demote_at(self, sent: float, ttl: float) -> float:
        """When a holder begins to stop whose last proven renewal was sent at `sent` and granted for `ttl`."""
        return sent + ttl - self.stop - self.epsilon

    def dead_at(self, sent: float, ttl: float) -> float:
        """When the watchdog stops what still runs: before the lease can end at the voters."""
        return sent + ttl - self.epsilon

    def cooldown_seconds(self, failures: int) -> float:
        """How long a node that failed so often in a row to serve does not try again: doubling, an hour at most."""
        return float(min(COOLDOWN_MAX, self.cooldown * 2 ** min(failures - 1, 16))) if failures else 0.0
