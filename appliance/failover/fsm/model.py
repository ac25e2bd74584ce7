"""The values that failover reasons about: states, policies, actions, what a node sees of a service, what it remembers.

Every moment is CLOCK_BOOTTIME in seconds of the node that looks: it counts suspended time and no clock setting moves
it. A deadline counts from when a renewal that was *proven* later was *sent*, since that is the latest moment at which
the lease can have begun at the voters.

An epoch is the number of a grant (`docs/architecture/coordination.md`), which orders the writers of a service; 0 is
none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from appliance.node.branch import Branch


class State(StrEnum):
    """The states of one service at one node."""

    BOOT = "BOOT"
    CATCHUP = "CATCHUP"
    STANDBY = "STANDBY"
    GRACE = "GRACE"
    RO_SERVE = "RO_SERVE"
    PROMOTING = "PROMOTING"
    ACTIVE = "ACTIVE"
    SUSPECT = "SUSPECT"
    DEMOTING = "DEMOTING"
    RO_ISOLATED = "RO_ISOLATED"
    ISOLATED_RW = "ISOLATED_RW"
    FENCED = "FENCED"
    DIVERGED = "DIVERGED"
    DRAINING = "DRAINING"


DOES: Mapping[State, str] = {
    State.BOOT: "has just started: nothing is written, the disk is read, the voters are asked",
    State.CATCHUP: "pulls the newest generation that any node holds",
    State.STANDBY: "has a copy that could be served, and watches the lease holder",
    State.GRACE: "saw the lease expire; verifies this, and waits for its turn",
    State.RO_SERVE: "serves its dated copy, read-only",
    State.PROMOTING: "has won the service; proves that it may open it, then opens it",
    State.ACTIVE: "serves, and renews its lease",
    State.SUSPECT: "serves, and asks one voter after another, since a renewal was not proven",
    State.DEMOTING: "stops the network, the programs and the files",
    State.RO_ISOLATED: "is stopped; a site can be read over the mesh, a share on the pages, a database nowhere",
    State.ISOLATED_RW: "is the origin, and serves its own building alone, for as long as needed",
    State.FENCED: "was stopped by a peer that knows a newer writer, or by an operator",
    State.DIVERGED: "saves unreplicated writes as a branch, and reports it",
    State.DRAINING: "hands over: holds writes, sends everything to the next writer, releases the lease",
}


class Policy(StrEnum):
    """As `policy` of a service in territory.yml."""

    LOCAL_FIRST = "local-first"
    EXCLUSIVE = "exclusive"
    MIRROR = "mirror"

    @property
    def origin_writes_alone(self) -> bool:
        """Whether the home goes on writing without a lease: never where another node takes over by itself."""
        return self is not Policy.EXCLUSIVE

    @property
    def others_write(self) -> bool:
        """Whether a node other than the home may ever write it."""
        return self is not Policy.MIRROR

    @property
    def needs_proof_of_death(self) -> bool:
        """Whether the end of the home's lease is not enough for another node to write."""
        return self is not Policy.EXCLUSIVE


class Action(StrEnum):
    """The things that a node is asked to do. Each may be asked again while it is under way, and is safe to repeat and
    to cut."""

    READ = "read"
    RENEW = "renew"
    RETURN = "return"
    WAKE = "wake"
    EXPECT = "expect"
    TAKE_OVER = "take over"
    RELEASE = "release"
    ASK_GRANT = "ask grant"
    PRESENT = "present"
    CUT_NETWORK = "cut network"
    STOP = "stop"
    SET_READ_ONLY = "set read-only"
    RESET = "reset"
    ARM_WATCHDOG = "arm watchdog"
    START = "start"
    PROBE = "probe"
    ADD_ADDRESS = "add address"
    SERVE_COPY = "serve copy"
    WITHDRAW_COPY = "withdraw copy"
    PULL = "pull"
    HOLD_WRITES = "hold writes"
    RESUME_WRITES = "resume writes"
    SYNC = "sync"
    KEEP_BRANCH = "keep branch"
    ALARM = "alarm"


MEANINGS: Mapping[Action, str] = {
    Action.READ: "ask a majority of the voters for the owner and the lease holder, and keep watching",
    Action.RENEW: "renew the lease and have a majority prove that service and epoch still belong to this node",
    Action.RETURN: "take the lease again under this node's epoch, unless a newer one was granted",
    Action.WAKE: "prepare the programs that start and stop the service here, so that they answer at once",
    Action.EXPECT: "start a worker connected to the storage peers, for a takeover within a minute",
    Action.TAKE_OVER: "become owner and lease holder under a new epoch in one transaction, whatever was read before",
    Action.RELEASE: "record the release on disk, delete the proof, then end the lease",
    Action.ASK_GRANT: "ask the voters' brokers to sign the grant of the epoch, and store it",
    Action.PRESENT: "show the grant to the storage peers; a peer that accepts it refuses all older epochs",
    Action.CUT_NETWORK: "drop packets of the service's address, and at a share's port, close its connections, "
    "remove its address",
    Action.STOP: "stop the service's programs",
    Action.SET_READ_ONLY: "make its files read-only",
    Action.RESET: "kill what is left of the service; if that hangs in the kernel, reboot the machine",
    Action.ARM_WATCHDOG: "give the deadline to the watchdog, which stops the service when the agent hangs",
    Action.START: "continue from the newest generation, make files writable, start the programs if time is left",
    Action.PROBE: "ask the service whether it answers",
    Action.ADD_ADDRESS: "move the service's address here",
    Action.SERVE_COPY: "serve the dated copy that is here, read-only",
    Action.WITHDRAW_COPY: "stop serving that copy",
    Action.PULL: "fetch the newest generation that any node holds",
    Action.HOLD_WRITES: "hold the writes of clients",
    Action.RESUME_WRITES: "let clients write again",
    Action.SYNC: "save, seal and send everything to the node that will take over, and compare",
    Action.KEEP_BRANCH: "save unreplicated writes as a named branch and report it; a person merges it later",
    Action.ALARM: "write it to the journal, for people; the doctor and alerts report what lasts",
}
STOPPING = (Action.CUT_NETWORK, Action.STOP, Action.SET_READ_ONLY)
"""In this order: the network goes first, since the kernel does that at once, whatever the programs are busy with."""


@dataclass(frozen=True)
class Record:
    """The last answer of a majority of the voters; `asked` is when the question was sent, or the watch last spoke.

    `granted`: the newest epoch whose signed grant came along and was checked, whichever node claims the service now;
    without one no answer of the voters deposes a node. `owner` took the service over under `epoch`; `holder` has a
    lease that lives, "" when nobody has. `released`: the owner let go cleanly, and signed that, for `to` when that is a
    name. `vacant_since`: when this node learned of the present vacancy. `heard_since`: since when they have answered
    without growing silent in between.
    """

    asked: float
    owner: str = ""
    epoch: int = 0
    holder: str = ""
    released: bool = False
    to: str = ""
    vacant_since: float = 0.0
    heard_since: float = 0.0
    granted: int = 0


@dataclass(frozen=True)
class Proof:
    """The last renewal that a majority proved: sent at `sent`, for `ttl` seconds as granted, of `epoch`."""

    sent: float
    ttl: float
    epoch: int


@dataclass(frozen=True)
class Local:
    """The parts of the service that run here. `writer`: the service's programs; `writable`: its files; `held`: clients
    wait with writes; `holding`: they may do so, since that was begun, or its end was."""

    writer: bool = False
    writable: bool = False
    address: bool = False
    healthy: bool = False
    held: bool = False
    copy: bool = False
    holding: bool = False

    @property
    def is_open(self) -> bool:
        """Whether anything could still be written here."""
        return self.writer or self.writable or self.address

    @property
    def served(self) -> bool:
        return self.writer and self.writable and self.address and self.healthy


@dataclass(frozen=True)
class Copy:
    """The copy here: for how long something newer has existed elsewhere, and why it could not be served, if so.

    `stale_view`: what is laid out for reading is older than what is held here.
    """

    lag: float = 0.0
    unfit: str = ""
    stale_view: bool = False


@dataclass(frozen=True)
class OperatorRequests:
    """The requests of people: signed acts and orders that were checked already.

    `promote`: an act in force that names this node and the node that it replaces, of which no grant came yet.
    `move_to`: the lease holder must hand over to that node. `leaving`: this node hands over all that it holds, to the
    next candidate, and takes nothing over. `hand_back`: the handback window is open.
    """

    promote: bool = False
    quarantined: bool = False
    paused: bool = False
    move_to: str = ""
    leaving: bool = False
    hand_back: bool = False


@dataclass(frozen=True)
class Seen:
    """One look of the node `node` at one service. Nothing in it is asked for twice within a cycle.

    `rank`: its turn among the origin and the standbys, the present owner last. `own_epoch`: of the newest grant here
    that names this node; `known_epoch`: of the newest grant here or seen anywhere; `refused_by_epoch`: of a newer grant
    that a storage peer showed when it refused ours. `released`: this node let go of `own_epoch`, and says so on its
    disk. `lost`: the last renewal was answered by "not yours". `unreplicated_writes`: writes were made here that are in
    no generation which the present history has; true when unsure. `acknowledged_epoch`: the newest epoch of ours that a
    storage peer accepted. `opened_epoch`: of the grant under which the service was last opened here, with the newest
    generation adopted. `adopts`: another wrote before the grant that is here, so its files are still to be adopted.
    `installed_at`: when the newest generation was last put in place here, or a branch kept; now, while it is.
    `started_at`, `answered_at`: when the service was last started here by this program, and when it last answered it.
    `old_writer_stops_at`: until when the node that our takeover deposed may go on by its own clock; kept with the
    proof, and one lease from the first proof when a reboot lost it before the epoch was opened. `served_at`: when a
    broker last reported that a node serves it. `origin_ready_since`: since when the origin, another node, is a
    caught-up standby. `last`: when each action was begun.
    """

    node: str
    is_origin: bool
    rank: int = 0
    own_epoch: int = 0
    known_epoch: int = 0
    refused_by_epoch: int = 0
    acknowledged_epoch: int = 0
    opened_epoch: int = 0
    adopts: bool = False
    released: bool = False
    lost: bool = False
    unreplicated_writes: bool = False
    branch: Branch = Branch.NONE
    record: Record | None = None
    proof: Proof | None = None
    local: Local = Local()
    copy: Copy = Copy()
    synced: bool = False
    installed_at: float = 0.0
    started_at: float = 0.0
    answered_at: float = 0.0
    old_writer_stops_at: float = 0.0
    served_at: float | None = None
    origin_ready_since: float | None = None
    origin: str = ""
    requests: OperatorRequests = OperatorRequests()
    last: Mapping[Action, float] = field(default_factory=dict)

    @property
    def branch_unsaved(self) -> bool:
        """Whether writes made here are in no branch: none was kept in this epoch, or more were found since."""
        return self.branch is Branch.NONE or self.unreplicated_writes


@dataclass(frozen=True)
class Standing:
    """The memory of a node between two looks: its state, since when, how often it failed to serve in a row, and how
    often it failed to hand over. The last two are apart: a node that serves well may be unable to hand over, and must
    not give up."""

    state: State
    since: float
    failures: int = 0
    failed_at: float = 0.0
    failed_handovers: int = 0
    last_failed_handover_at: float = 0.0


@dataclass(frozen=True)
class Decision:
    """The order that row `row` of the table gives: do `actions` in turn, after one that fails only those that close,
    and be `standing`.

    `deadline`: boot time from which nothing may be written here, looked at again right before each action; None where
    none applies, and then no watchdog may be tied to a lease. A new epoch must be above `above`. `to`: the node for
    which a release is meant, "" for the next candidate.
    """

    row: str
    reason: str
    actions: tuple[Action, ...]
    standing: Standing
    deadline: float | None = None
    above: int = 0
    to: str = ""
