"""One frozen view of a node: what the agent decides from, and what status and metrics judge. Values only.

Two times go with every view. `wall` is UTC seconds and may jump: it dates things and says when a schedule is due.
`age` is the ageing clock (`host.ageing`), whole seconds that never go back: whatever must have waited counts in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.backup.chain.shrink_check import BackupSize
from appliance.backup.peers.counted import Safety
from appliance.backup.vault.sealing.probed import Probed
from appliance.backup.writer.manifest import Accepted
from appliance.monitor.failover_view import FailoverView
from appliance.territory.model import Schedule


@dataclass(frozen=True)
class Now:
    wall: float
    age: int


@dataclass(frozen=True)
class Generation:
    """A generation by its full name; `time` is what its writer's clock said, UTC seconds.

    `whole`: its newest archive has all that it should have, as far as its header says; `said`: whether that says so.
    """

    name: str
    time: float
    whole: bool = True
    said: bool = True
    still: float = 0.0
    """Until when nothing had changed since, UTC seconds, as its writer and replica nodes signed; 0 where that was never
    said."""

    @property
    def as_of(self) -> float:
        """The moment of which it holds the state."""
        return max(self.time, self.still)

    @property
    def epoch(self) -> int:
        return int(self.name.split(".")[0])

    def __str__(self) -> str:
        return f"{self.epoch}.{int(self.name.split('.')[1])}"


@dataclass(frozen=True)
class Missing:
    """A declared path that the newest generation does not have whole; `last` is when it was saved whole last, UTC
    seconds, None when that is not known here."""

    path: str
    last: float | None


@dataclass(frozen=True)
class Grant:
    """The newest grant known here of a service; `ours` when this node may write under it."""

    epoch: int
    writer: str
    ours: bool


@dataclass(frozen=True)
class PutAside:
    """A tree of files that a move put aside. `unsaved` of its files are neither in a backup nor in a branch, as far as
    that is known, nor left out by the plan; `first` names one of them."""

    folder: str
    files: int
    bytes: int
    unsaved: int = 0
    unsaved_bytes: int = 0
    first: str = ""


@dataclass(frozen=True)
class Written:
    """A service that this node writes or that began here; `generations` is how many are known."""

    service: str
    schedule: Schedule
    rpo_seconds: int
    origin: bool
    begun: bool
    grant: Grant | None
    targets: tuple[str, ...]
    newest: Generation | None
    generations: int
    acknowledged: tuple[str, ...]
    safety: Safety
    safe_newest: Generation | None = None
    """The newest that is safe and whole. Where `newest` is not, an older one is looked for in a thorough view only."""
    unsafe_since: float = 0.0
    """When the first generation after `safe_newest` was sealed, as far back as was looked; 0 when there is none."""
    rto_seconds: int = 0
    envelopes: Mapping[str, float] = field(default_factory=dict)
    """When its key was sealed to each recipient, UTC seconds; looked for in a thorough view only."""
    inherited_envelopes: frozenset[str] = frozenset()
    """The recipients of the envelopes in `newest` where another writer or a former disk of this node made it; looked
    for in a thorough view, and only while this node has made no envelope for the recovery key itself."""
    has_recovery_key: bool = False
    """Whether the bundle names a recovery key: each backup then makes the envelope for it that is missing."""
    unsealed: tuple[str, ...] = ()
    """Nodes without an envelope for their present key, as a new box has; the next backup makes it."""
    overtaken: tuple[str, str] = ("", "")
    """Why a peer knows more of it than this node, and what to type; empty when that was not found."""
    orphaned: tuple[str, str] = ("", "")
    """A sentence on a peer that holds what the present history does not continue, and what to type; empty when none was
    found."""
    accounts_changed: float = 0.0
    """When the accounts that it saves were changed last, UTC seconds; 0 where it saves none."""
    partial: tuple[Missing, ...] = ()
    """The paths that `newest` lacks, when it is not whole; looked for in a thorough view only."""
    accepted: tuple[Accepted, ...] = ()
    """The files that its backups are without because an operator accepted it."""
    put_aside: tuple[str, ...] = ()
    """The folders of repositories that moves put aside, the oldest first; looked for in a thorough view only."""
    trees: tuple[PutAside, ...] = ()
    """The trees of files that moves put aside and that were looked at; looked for in a thorough view only."""
    shrunken: str = ""
    """The sizes of its last run and of the one it is compared with, when most of it is gone at the source; ""
    otherwise."""
    given_to: str = ""
    """To which node territory.yml gave it, which has gone on with it; "" while it is this node's."""
    comes_back: str = ""
    """How it comes back here from another node that writes it, when failover moves it; "" otherwise."""
    starts_over: bool = False
    """Whether a revocation ended the epoch of `grant`: nobody takes anything of it until it begins with a new key."""

    @property
    def ours(self) -> bool:
        """Whether this node may write it."""
        return self.grant is not None and self.grant.ours and not self.given_to

    @property
    def taken_over(self) -> bool:
        """Whether the newest generation is of an epoch before this node's own: no vault takes it from this one."""
        return self.ours and self.grant is not None and self.newest is not None and self.newest.epoch < self.grant.epoch

    @property
    def missing(self) -> tuple[str, ...]:
        """Targets that have not acknowledged the newest generation."""
        return tuple(target for target in self.targets if target not in self.acknowledged) if self.newest else ()


@dataclass(frozen=True)
class Held:
    """A service that this node holds for others. `received_age` is our ageing clock's when the newest one came."""

    service: str
    rpo_seconds: int
    expected: bool
    """Whether new generations are due here: not at a spare, nor where this node itself writes the service now."""
    newest: Generation | None
    received: float = 0.0
    received_age: int = 0
    lost: tuple[str, ...] = ()
    """Nodes of this service that are lost, by a signed act in force or because nobody of it has seen them for long."""
    targets: tuple[str, ...] = ()
    """The nodes that must hold it now, spares in the place of lost replica nodes, this node aside; best first."""
    quota_bytes: int = 0
    used_bytes: int | None = None
    """None when it was not counted: that reads every file's size."""
    ceiling_bytes: int | None = None
    """The bytes that its present epoch may fill of the quota, the rest being kept for the next; None when it was not
    counted."""
    short_bytes: int | None = None
    """Used bytes from which on letting old history go no longer keeps the share from filling up; None as above."""
    forks: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()
    """The files known to be corrupt or gone: kind and name of each."""
    frozen: str = ""
    """Why nothing of it is pruned now; looked for in a thorough view only."""
    early_pruned: str = ""
    """The generation that a full quota let go of late before its time; looked for in a thorough view only."""
    lock: Probed | None = None
    """The last try of its retention lock; None where it cannot be tried, or was not yet."""
    partial: tuple[Missing, ...] = ()
    """As in `Written`."""
    whole_received: float = 0.0
    """When the newest generation came that is whole, and its age below; looked for in a thorough view only."""
    whole_received_age: int = 0
    asked: float = 0.0
    """When a replica node last said that it lacks generations that are here, UTC seconds; 0 for never."""
    still_received: float = 0.0
    """When the writer's word came that nothing changed since the newest whole generation, and its age below; 0 for
    never."""
    still_received_age: int = 0
    sizes: tuple[BackupSize, ...] = ()
    """How much the generations held of the newest one's repository have; looked at in a thorough view only."""
    left: str = ""
    """The note that it left the territory, and in which bundle; "" of a service that goes on."""
    elsewhere: str = ""
    """The note that it goes on at other replica nodes, in place of this one, and when the copy here goes; "" at a
    present one."""


@dataclass(frozen=True)
class Readable:
    """A service whose names this node may catalogue: `source` is "local" at its writer, "standby" at a standby, where
    the newest generation came at `received`, UTC seconds of this node; 0 at its writer."""

    service: str
    source: str
    newest: Generation
    rpo_seconds: int
    catalogue_bytes: int | None = None
    """Looked for in a thorough view only."""
    received: float = 0.0


@dataclass(frozen=True)
class Ahead:
    """A service that another node writes and this one may have to serve next, with the newest generation held here, and
    when that came, UTC seconds of this node."""

    service: str
    newest: Generation
    received: float


@dataclass(frozen=True)
class OriginSeen:
    """The node `node`, for which this one stands by. `newest` is the newest generation held of what it saves of itself.

    `seen_age` is our ageing clock's when it last gave a sign of life, None when nobody asked yet; `lost` as in `Held`;
    `let_in`: its people log in here already; `revoked`: its keys were taken back, so what it saved may be a thief's.
    """

    service: str
    node: str
    newest: Generation
    seen_age: int | None
    lost: bool
    let_in: bool
    revoked: bool = False


@dataclass(frozen=True)
class Machine:
    """The facts of a thorough view about the machine; None is what this machine does not report.

    `updated`: when Debian's security updates were last looked for. `certificate_ends`: of its TLS certificate.
    `time_proven`: whether the server that sets its clock proves who it is.
    """

    disk_size: int | None = None
    updated: float | None = None
    certificate_ends: float | None = None
    time_proven: bool | None = None


@dataclass(frozen=True)
class Unended:
    """A restore of `service` that has not ended; `began` is in UTC seconds, `began_age` by our ageing clock, None for a
    job of an earlier version. `end` and `give_up` are what is typed to end it and to give it up; `end` is "" where a
    name in it could be read as something else.
    """

    service: str
    job: str
    began: float
    began_age: int | None
    end: str
    give_up: str


@dataclass(frozen=True)
class Attempt:
    """The last try of one kind of work; `failures` in a row, 0 when it worked. `mark` is what it was about."""

    time: float
    age: int
    failures: int = 0
    error: str = ""
    remedy: str = ""
    disk_full: bool = False
    """Whether it failed because this node's disk is full."""
    mark: str = ""
    ok_time: float | None = None
    ok_age: int | None = None
    left_out: tuple[tuple[str, str], ...] = ()
    """Path and reason of what a backup could not hold; the first of them when they are many."""
    left_out_count: int = 0
    figures: Mapping[str, int] = field(default_factory=dict)
    """Counts: blobs read, corrupt ones, generations pruned."""
    alarms: tuple[str, ...] = ()
    """Problems found by work that itself went well."""
    to_bring: tuple[str, ...] = ()
    """Peers that lacked something held here when an exchange asked them."""
    to_come: Mapping[str, int] = field(default_factory=dict)
    """By peer, how many older generations it had then that were missing here."""
    later_seconds: int = 0
    """Not 0: a peer took a part of a push, and takes the next one so long after this try; this is no failure."""
    whole_seconds: int = 0
    """How long after this try the peer will have taken the rest, if as much comes each day as it takes."""


@dataclass(frozen=True)
class Running:
    """Work in progress. `baseline` is the newest generation when it began."""

    kind: str
    service: str
    peers: tuple[str, ...]
    since: Now
    baseline: str


@dataclass(frozen=True)
class AgentSeen:
    """Whether the agent runs, when it last looked and when it last wrote its measures down, UTC seconds."""

    runs: bool
    looked: float = 0.0
    measured: float = math.inf
    start: str = "Type `systemctl start appliance-agent`."
    restart: str = "Type `systemctl restart appliance-agent`."


@dataclass(frozen=True)
class View:
    node: str
    timezone: str
    serial: int
    issued: float
    disk_free: int
    written: tuple[Written, ...] = ()
    held: tuple[Held, ...] = ()
    readable: tuple[Readable, ...] = ()
    ahead: tuple[Ahead, ...] = ()
    origins: tuple[OriginSeen, ...] = ()
    being_removed: tuple[str, ...] = ()
    """Services of which nothing is held any more and something still lies in the vault."""
    attempts: Mapping[str, Attempt] = field(default_factory=dict)
    """By `key`."""
    running: tuple[Running, ...] = ()
    machine: Machine = Machine()
    failover: FailoverView = field(default_factory=FailoverView)
    """Looked at in a thorough view only."""
    unended: tuple[Unended, ...] = ()
    """Restores; looked for in a thorough view only."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Services of which something could not be read, and the sentence why."""

    def last(self, kind: str, service: str, peer: str = "") -> Attempt | None:
        return self.attempts.get(key(kind, service, peer))

    def by_peer(self, kind: str, service: str) -> tuple[tuple[str, Attempt], ...]:
        """The last attempt of this kind with each peer that it ever concerned."""
        start = f"{key(kind, service)} "
        found = ((name, attempt) for name, attempt in self.attempts.items() if name.startswith(start))
        return tuple((name.removeprefix(start), attempt) for name, attempt in found)

    def runs(self, kind: str, service: str, peer: str = "") -> Running | None:
        """The work of this kind in progress, if any; with `peer`, only one that concerns it."""
        for work in self.running:
            if work.kind == kind and work.service == service and (not peer or peer in work.peers):
                return work
        return None


def key(kind: str, service: str, peer: str = "") -> str:
    """Return the key under which an attempt is remembered."""
    return " ".join((kind, service, peer)).rstrip()


PARTIAL_RETRIES = 1
"""How often a backup that sealed only in part is made again at once: what is missing then is missing for longer."""


def last_backup(written: Written, attempt: Attempt | None, now: Now) -> float | None:
    """When this service was last backed up, UTC seconds; None when it never was.

    The newest generation tells, unless the attempt that made it failed in part for the first time. After the wall clock
    was set back that lies in the future; the ageing clock then says how long ago the run was at least.
    """
    times = [] if attempt is None or attempt.ok_time is None else [attempt.ok_time]
    settled = attempt is not None and bool(attempt.mark) and attempt.failures > PARTIAL_RETRIES
    if written.newest and (attempt is None or not attempt.failures or settled or written.newest.time > attempt.time):
        times.append(written.newest.as_of)
    last = max(times, default=None)
    age = attempt.age if attempt is not None and settled else attempt.ok_age if attempt is not None else None
    if last is None or last <= now.wall or age is None:
        return last
    return now.wall - max(0, now.age - age)
