"""The coordination port: what failover asks of the store on which a majority of the voters agrees.

Invariant: a service changes hands by a transaction only, never on what was read, and never because nothing was heard.
Three things follow for the caller:

1. *Silence proves nothing.* A voter without a majority answers old states for ever, and no lease ends while there is no
   majority. `Unreachable` and `NoLeader` say "unknown"; only a `ServiceRecord` without a holder says that a lease has
   ended.
2. *A lease is no fence.* The holder stops by its own clock, before `Lease.ends`, which counts from when the renewal
   that was proven had been sent. A write that outlives the holder has its grant checked besides.
3. *No answer is no refusal.* A call that ended as Unreachable may have been carried out. Each can be made again as it
   was: its lease, which the caller chose, tells the store that it is the same call.

The revision of an owner is evidence: it orders takeovers, and a grant quotes it. The epoch is the grant's own number.
Moments are seconds of CLOCK_BOOTTIME, which counts a suspended machine's time too; stored times are UTC texts.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from appliance.errors import Refused

CALL_SECONDS_MAX = 4.0
"""A renewal tries two voters, with two requests each; more would end after the holder must have stopped."""
WATCH_SECONDS_MAX = 20.0
"""A connection that was cut without notice stays silent for ever, so a watcher reads again from time to time."""
INTENTS = ("move", "promote", "quarantine", "pause")


@dataclass(frozen=True)
class Owner:
    """The owner of a service, durably: also while its node is off. `released`: it has stopped, nothing is left
    unsent."""

    node: str
    reason: str
    time: str
    released: bool
    revision: int


@dataclass(frozen=True)
class LeaseHolder:
    """The node that shows to be alive and at work for a service, for as long as its lease is renewed.

    `boot_id`: of its boot, and behind a space for how many seconds the lease was begun (`begun_by`): a field of its own
    would be refused by nodes of a former version.
    """

    node: str
    boot_id: str
    lease: int
    revision: int

    @property
    def ttl_seconds(self) -> int:
        """For how long the lease was begun, which no later bundle changes; 0 where a former version did not say."""
        _, _, seconds = self.boot_id.partition(" ")
        return int(seconds) if seconds.isascii() and seconds.isdigit() and len(seconds) < 10 else 0


@dataclass(frozen=True)
class Intent:
    """The plan of somebody for a service: a hint for the nodes concerned, whose right the signed `act` gives.

    It ends by itself `ttl_seconds` after the last time it was reported. `act` is a digest, "" where none is needed.
    """

    service: str
    kind: str
    to: str
    by: str
    reason: str
    lease: int
    ttl_seconds: int
    act: str = ""


@dataclass(frozen=True)
class Alive:
    """The report that a node runs and reaches the voters, for `ttl_seconds` after the last time it was reported."""

    node: str
    boot_id: str
    lease: int
    ttl_seconds: int


Report = Alive | Intent


@dataclass(frozen=True)
class ServiceRecord:
    """All that the store knows of one service, at its `revision`."""

    service: str
    revision: int
    owner: Owner | None = None
    holder: LeaseHolder | None = None
    intent: Intent | None = None

    @property
    def owned(self) -> int:
        """The revision of the owner, 0 while nobody ever owned the service: what a claim must have seen."""
        return self.owner.revision if self.owner else 0


@dataclass(frozen=True)
class Moved:
    """An entry of a service's history: at `revision`, `node` became its owner in place of revision `previous`.

    With `released` it did not take the service but gave it up.
    """

    node: str
    reason: str
    time: str
    released: bool
    revision: int
    previous: int


@dataclass(frozen=True)
class Claim:
    """The request of a node to hold `service`, whose owner it saw at revision `seen`, with a `lease` of its own choice.

    It becomes the owner, at a new revision; with `resumes` it is the owner already and only shows to be alive again, so
    that its epoch stays good. Nobody may hold the service, but for the holder at revision `ousts` when that is not 0:
    the broker asks for a signed act then.
    """

    service: str
    node: str
    boot_id: str
    lease: int
    seen: int
    ttl_seconds: int
    reason: str
    time: str
    resumes: bool = False
    ousts: int = 0

    @property
    def begun_by(self) -> str:
        """The `boot_id` that its holder shows."""
        return f"{self.boot_id} {self.ttl_seconds}"


@dataclass(frozen=True)
class Lease:
    """A lease on a service, proven: `revision` of its owner, `since` the holder's, `ttl_seconds` as granted.

    `sent`: the moment before the last proven renewal left this node. The store lets the lease end `ttl_seconds` after
    that at the earliest, never before.
    """

    service: str
    node: str
    lease: int
    revision: int
    since: int
    ttl_seconds: int
    sent: float

    @property
    def ends(self) -> float:
        """The moment from which somebody else may hold the service; the holder has stopped before."""
        return self.sent + self.ttl_seconds


@dataclass(frozen=True)
class NoLeader:
    """The voter that was watched has no majority: nothing is known from here on. The watch ends with it."""

    why: str


@dataclass(frozen=True)
class Ended:
    """The watch is over, by its time or because its line was cut. That is no news of the service: read, watch again."""

    why: str


Event = ServiceRecord | NoLeader | Ended


class Taken(Refused):
    """Somebody else holds the service, or owns it at another revision than the claim saw; `record` shows who."""

    def __init__(self, what: str, record: ServiceRecord, *, remedy: str = "") -> None:
        super().__init__(what, remedy=remedy or "Nothing was changed.")
        self.record = record


class Lost(Refused):
    """A lease has ended, or the service has another owner: the holder stops now, whatever its clock says."""


class Coordination(Protocol):
    """Every call ends within `seconds_max`, with an answer or with Unreachable, whatever the voters do."""

    async def read(self, service: str, *, seconds_max: float = CALL_SECONDS_MAX) -> ServiceRecord:
        """The state of `service` that a majority stands behind; to show and to prepare, never to decide a takeover."""
        ...

    async def history(
        self, service: str, *, entries_max: int = 100, seconds_max: float = CALL_SECONDS_MAX
    ) -> tuple[Moved, ...]:
        """The last `entries_max` changes of the owner of `service`, the newest first."""
        ...

    async def alive(self, *, seconds_max: float = CALL_SECONDS_MAX) -> tuple[Alive, ...]:
        """The nodes that reported to be alive, by name."""
        ...

    async def acquire(self, claim: Claim, *, seconds_max: float = CALL_SECONDS_MAX) -> Lease:
        """Hold the service of `claim`; raise Taken when its transaction finds another owner or holder."""
        ...

    async def renew(self, holding: Lease, *, seconds_max: float = CALL_SECONDS_MAX) -> Lease:
        """`holding` with a new `sent`: its lease was renewed, and a majority proves that nobody else has the service.

        Raise Lost when it is not ours any more, Unreachable when that cannot be known: `holding` then ends when it did.
        """
        ...

    async def release(self, holding: Lease, reason: str, time: str, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        """Give up what is held, for others to take at once; raise Lost when it was not ours any more.

        Call it only once the service has stopped here and all it acknowledged is elsewhere: it counts as proof of that.
        """
        ...

    async def report(self, report: Report, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        """Say that this node is alive or what it intends, or say so still; raise Taken beside another intent."""
        ...

    async def withdraw(self, intent: Intent, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        """Take an intent back; one that is not there any more is no error."""
        ...

    def watch(self, seen: ServiceRecord, *, seconds_max: float = WATCH_SECONDS_MAX) -> AsyncGenerator[Event]:
        """`seen` once the watch is armed, then each later state, and last NoLeader or Ended."""
        ...
