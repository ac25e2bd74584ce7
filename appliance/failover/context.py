"""Where one node stands with one service: what it keeps, what it was told, what it is at. Changed by `act` alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.clock import Clock
from appliance.coordination.port import Claim, Coordination, ServiceRecord
from appliance.coordination.remote import Remote
from appliance.errors import ApplianceError
from appliance.failover.documents import SignedDocuments
from appliance.failover.fsm.model import Action, Policy, Standing
from appliance.failover.fsm.model import State as S
from appliance.failover.fsm.timers import Timers
from appliance.failover.heartbeat import show
from appliance.failover.history import line
from appliance.failover.ports import Copies, Network, Services, Watchdog
from appliance.node import failover_state as keeping
from appliance.node.failover_state import DurableState, ProvenLease
from appliance.territory.model import Service
from appliance.trust.act import Act
from appliance.trust.bundle import Bundle
from appliance.trust.grant import Grant
from appliance.units import MIB

HISTORY_BYTES_MAX = 16 * MIB
"""A renewal every three seconds is a line; so it is two days of one service, and as much again beside it."""


@cache
def _timers_of(lease_seconds: int) -> Timers:
    return Timers.of_lease(lease_seconds)


@dataclass(frozen=True)
class NodeContext:
    """The part of the context that all services of a node share: its name, ports, voters and the documents it was
    shown."""

    name: str
    bundle: Callable[[], Bundle]
    clock: Clock
    boot_id: str
    store: Coordination
    brokers: Mapping[str, Remote]
    documents: SignedDocuments
    own_acts: Callable[[], tuple[Act, ...]]
    key: Ed25519PrivateKey
    services: Services
    network: Network
    watchdog: Watchdog
    copies: Copies
    folder: Callable[[str], Path]
    """Where a service's signed documents are kept."""
    run: Path
    history: Path
    alarm: Callable[[str, str], None]
    """Tell a person of a service: what is the matter."""
    unread: set[str] = field(default_factory=set)
    """The services of which a paper cannot be read here, as was told."""

    @property
    def timers(self) -> Timers:
        return _timers_of(self.bundle().territory.lease_seconds)

    def tell(self, service: str, epoch: int, event: str, **more: object) -> None:
        """Write an event to the history of this node, of which so much is kept; a full disk stops no service."""
        moment = (self.clock.boottime(), self.clock.now(), self.boot_id)
        with contextlib.suppress(OSError), open(self.history, "a") as file:
            if file.tell() > HISTORY_BYTES_MAX:
                self.history.rename(self.history.with_suffix(".1.jsonl"))
            file.write(line(moment, self.name, service, epoch, event, **more) + "\n")


@dataclass
class ServiceContext:
    node: NodeContext
    service: str
    durable: DurableState
    standing: Standing
    proven: ProvenLease | None = None
    lost: bool = False
    record: ServiceRecord | None = None
    """The last answer of a majority of the voters, `asked` when the question was sent or their watch spoke."""
    asked: float = 0.0
    taken_at: float = 0.0
    heard_since: float = 0.0
    vacant_since: float = 0.0
    claim: Claim | None = None
    """A takeover whose answer did not come; it is repeated as it was."""
    rounds: int = 0
    """How often the brokers were asked for a grant, and a majority did not sign."""
    synced: bool = False
    installing: bool = False
    installed_at: float = 0.0
    """Whether a generation is laid in place now, or what was written here put aside; and when that was last done."""
    starting: bool = False
    """The deadline is moved on meanwhile, as for what runs: it counts from the moment at which anything does."""
    started_at: float = 0.0
    healthy: bool = False
    answered_at: float = 0.0
    """When the service was last started; whether it answered when it was last asked, and when it last did."""
    showing: asyncio.Task[None] | None = None
    """Telling brokers of a grant that just came, or of a release; nothing hangs on its end."""
    noted: Grant | None = None
    """The newest grant that is on the disk beside the service's own."""
    pulled_at: float | None = None
    served_at: float | None = None
    """When a broker last told that somebody serves it."""
    origin_ready: tuple[float, float] | None = None
    """Since when the home could have it back, as a broker told, and when it told."""
    last: dict[Action, float] = field(default_factory=dict)
    trouble: dict[str, str] = field(default_factory=dict)
    """Why the last try of each action failed."""
    _pending: tuple[int, Grant | None] = (0, None)

    def __post_init__(self) -> None:
        self._granted = str(self.granted_path)

    @property
    def plan(self) -> Service:
        return self.node.bundle().territory.service(self.service)

    @property
    def is_named(self) -> bool:
        """Whether the bundle still names this node for the service."""
        plan = self.node.bundle().territory.services.get(self.service)
        return plan is not None and self.node.name in (plan.node, *plan.standbys)

    @property
    def policy(self) -> Policy:
        return Policy(self.plan.policy)

    @property
    def is_origin(self) -> bool:
        return self.plan.node == self.node.name

    @property
    def granted_path(self) -> Path:
        """A grant that came and was not adopted yet."""
        return self.node.folder(self.service) / "granted"

    @property
    def release_path(self) -> Path:
        return self.node.folder(self.service) / "release"

    @property
    def lease_path(self) -> Path:
        return self.node.run / f"{self.service}.lease"

    def pending(self) -> Grant | None:
        """The grant of this node's that waits to be adopted, or was."""
        try:
            mark = os.stat(self._granted).st_mtime_ns
            if mark != self._pending[0]:
                raw = self.granted_path.read_bytes()
                # It was judged when it came.
                self._pending = mark, self.node.documents.granters(self.service).keeping([raw]).read(raw)
        except (OSError, ApplianceError):
            self._pending = 0, None
        found = self._pending[1]
        return found if found and self._is_mine(found) else None

    @property
    def own(self) -> Grant | None:
        """The newest grant that names this node and its key."""
        found = [it for it in (self.node.copies.own_grant(self.service), self.pending()) if it is not None]
        return max(found, key=lambda grant: grant.epoch) if found else None

    @property
    def let_in(self) -> tuple[float | None, ...]:
        """When clients were last let in: what they write then is in no backup that began before."""
        return tuple(map(self.last.get, (Action.START, Action.RESUME_WRITES)))

    @property
    def has_not_released(self) -> bool:
        """Whether a lease was taken from this node that it neither released nor could have lost by time. An attacker in
        the voters' store may have forged that, and gets no epoch by it while this node lives; a signed act still
        does."""
        own = self.own
        return own is not None and self.durable.revoked_lease_epoch == own.epoch != self.durable.released_epoch

    def _is_mine(self, grant: Grant) -> bool:
        member = self.node.bundle().members.get(self.node.name)
        return member is not None and (grant.writer, grant.writer_key) == (self.node.name, member.keys.sign)

    def keep(self, **changed: object) -> None:
        """Change what is kept, on the disk first."""
        new = replace(self.durable, **changed)  # type: ignore[arg-type]
        if new != self.durable:
            keeping.save(self.node.folder(self.service) / keeping.FILE, new)
            self.durable = new

    def prove(self, proven: ProvenLease | None) -> None:
        """Remember what was proven; the watchdog learns of it by `tie`."""
        self.proven = proven
        with contextlib.suppress(OSError):  # on a full disk only the next agent of this boot knows less
            keeping.save_lease(self.lease_path, proven)
        if proven is not None and self.durable.revoked_lease_epoch:
            self._note_revoked_lease(0)

    def lose(self, proven: ProvenLease) -> None:
        """The voters say that `proven` is gone."""
        own = self.own
        if own and self.node.clock.boottime() < proven.lease.ends:
            self._note_revoked_lease(own.epoch)
        self.prove(None)
        self.lost = True

    def _note_revoked_lease(self, epoch: int) -> None:
        try:
            self.keep(revoked_lease_epoch=epoch)
        except (ApplianceError, OSError):
            self.durable = replace(
                self.durable, revoked_lease_epoch=epoch
            )  # on a full disk only the next program knows less

    def show(self, document: bytes) -> asyncio.Task[None]:
        """Tell all brokers of `document` at once."""
        self.showing = asyncio.create_task(show(self.node.brokers, document))
        return self.showing

    @contextlib.contextmanager
    def telling(self, what: str) -> Iterator[None]:
        """A failure in here ends nothing else: it is shown as the trouble with `what` until `what` goes well."""
        try:
            yield
        except (ApplianceError, OSError) as error:
            self.trouble[what] = str(error)
        else:
            self.trouble.pop(what, None)

    @contextlib.contextmanager
    def moving_files(self) -> Iterator[None]:
        """As long as this takes nobody gives up on the service: it grows with its files."""
        self.installing = True
        try:
            yield
            self.installed_at = self.node.clock.boottime()
        finally:
            self.installing = False

    async def probe(self) -> None:
        """Ask the service whether it answers."""
        self.healthy = await self.node.services.probe(self.service)
        if self.healthy:
            self.answered_at = self.node.clock.boottime()

    def may_write(self, alone: bool) -> bool:
        """Whether the service may be open here at this very moment."""
        proven, timers = self.proven, self.node.timers
        if alone:
            return True
        if proven is None:
            return False
        return self.node.clock.boottime() < timers.demote_at(proven.lease.sent, proven.lease.ttl_seconds)


def begin(node: NodeContext, service: str) -> ServiceContext:
    """Where this node stands at the start of its agent; the proof of an earlier one of this boot still counts."""
    now = node.clock.boottime()
    found = keeping.load(node.folder(service) / keeping.FILE)
    made = ServiceContext(node, service, found or DurableState(), Standing(S.BOOT, now))
    if found is None:
        # A node that wrote it before failover was told of it has its files already (and `adopted.py`: if it has not).
        own = node.copies.own_grant(service)
        if own is not None and (own.epoch % 2 or node.copies.files_are_here(service, 0)):
            made.keep(opened_epoch=own.epoch, unreplicated_writes=True)
    made.proven = keeping.load_lease(made.lease_path, node.boot_id)
    # A service that runs counts as healthy until its first probe: otherwise each start of this program would stop it.
    made.healthy = node.services.look(service).writer
    return made
