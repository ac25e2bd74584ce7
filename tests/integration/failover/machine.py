"""A machine in simulated time: a disk that lasts, a kernel whose send buffer outlives programs, the service's programs,
a watchdog. It can be frozen, cut off, or lose its power."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.failover.fsm.model import Action
from appliance.node.branch import Branch

if TYPE_CHECKING:
    from tests.integration.failover.voters import Last
    from tests.integration.failover.world import World

LOOKS_EVERY = 0.5
"""While nothing happens, as the real one. What an answer or a watch brought is looked at at once, a deadline when it
comes."""


@dataclass
class Disk:
    """The disk after a loss of power. `tail`: written here and, as far as known here, at no peer. `synced`, `given` and
    `required` as in `node/failover_state.py`; `given` has the writes, until a successor is known to go on from it."""

    tree: set[int] = field(default_factory=set)
    tail: set[int] = field(default_factory=set)
    own_epoch: int = 0
    known_epoch: int = 0
    released_epoch: int = 0
    acknowledged_epoch: int = 0
    base_epoch: int = 0
    synced: Last = (0, 0)
    synced_tree: set[int] = field(default_factory=set)
    given: set[int] = field(default_factory=set)
    required: Last = (0, 0)
    branch: Branch = Branch.NONE
    branch_values: set[int] = field(default_factory=set)
    refused_by: int = 0
    pointer: int = 0
    has_copy: bool = False
    fetched: set[int] | None = None


class Machine:
    def __init__(self, world: World, name: str, rank: int) -> None:
        self.world, self.name, self.rank = world, name, rank
        self.home = rank == 0
        self.disk = Disk()
        self.powered = self.out = self.into = True
        self.frozen = self.hung = self.sick = False
        self.rate = 1.0 + world.draw.uniform(-0.005, 0.005)
        self.kernel: list[tuple[int, int]] = []  # the send buffer, which outlives the program that filled it
        self.rows: set[str] = set()
        self._boot()

    def _boot(self) -> None:
        self.booted = self.world.now
        self.writer = self.writable = self.address = self.healthy = self.held = self.copy = self.cut = False
        self.watchdog: float | None = None
        self.kernel.clear()
        self.start_agent()

    def start_agent(self) -> None:
        """A new process of the agent, which knows only what lies on the disk."""
        raise NotImplementedError

    def look(self) -> None:
        """The agent looks, decides and acts."""
        raise NotImplementedError

    def wakes_at(self) -> float:
        """When its next deadline comes, in the world's time."""
        raise NotImplementedError

    def clock(self) -> float:
        """Its CLOCK_BOOTTIME, whose rate is not quite the voters'."""
        return 5.0 + (self.world.now - self.booted) * self.rate

    # What the world does to it

    def power_off(self) -> None:
        if self.powered:
            self.powered = False
            self._stop_writer()
            self._set_address(False)
            self.proof = None
            self.kernel.clear()

    def power_on(self) -> None:
        if not self.powered:
            self.powered = True
            self._boot()

    def kill_agent_and_service(self) -> None:
        """kill -9 of both; the kernel's buffer stays, and a new agent is started at once."""
        self._stop_writer()
        self.start_agent()

    @property
    def runs(self) -> bool:
        return self.powered and not self.frozen

    # What runs on it

    def tick(self) -> None:
        if not self.powered:
            return
        self._flush()
        if self.frozen:
            return
        if self.watchdog is not None and (self.writer or self.address) and self.clock() >= self.watchdog:
            self._stop_writer()
            self._set_address(False)
        if not self.hung and (self.inbox or self.world.now >= self.next_look):
            self.next_look = min(self.world.now + LOOKS_EVERY, self.wakes_at())
            self.look()

    def write(self, value: int) -> bool:
        """A client's write; whether it is acknowledged."""
        if not (self.runs and self.writer and self.writable) or self.held or self.cut:
            return False
        self.disk.tree.add(value)
        self.disk.tail.add(value)
        self.kernel.append((value, self.disk.own_epoch))
        return True

    def back_up(self) -> None:
        """Bring to the peers what a crash or their silence kept from them, as the writer's next backup does."""
        if self.runs and self.writer and not self.kernel:
            self.kernel += [(value, self.disk.own_epoch) for value in sorted(self.disk.tail)]
            if self.out and self.into and not self.disk.tail:
                self.world.peers.catch_up(self.name, self.disk.own_epoch, self.disk.tree)

    def _flush(self) -> None:
        while self.kernel and self.out:
            value, epoch = self.kernel[0]
            accepted = self.world.peers.receive(self.name, epoch, value, self.disk.tree, self.world.now)
            if not self.into or accepted is None:
                return  # no acknowledgement came: the kernel sends it again
            self.kernel.pop(0)
            if accepted:
                self.disk.tail.discard(value)
            else:
                self.disk.refused_by = max(self.disk.refused_by, self.world.peers.highest)

    # What it has of others, and others of it

    def hear_what_was_passed_over(self) -> None:
        """Writes that this node released and its successor did not go on from are only here."""
        disk = self.disk
        later = [base for epoch, base in self.world.bases.items() if disk.own_epoch < epoch <= disk.known_epoch]
        if disk.given and later:
            disk.tail |= disk.given - later[0]
            disk.given = set()

    def offered(self) -> set[int] | None:
        """The newest that anybody offers who answers; None where that is older than what the last writer named."""
        newest = self.world.peers.newest()
        if newest is None or (self.world.names_last and newest.last < self.disk.required):
            return None
        return set(newest.values)

    def adopt(self) -> bool:
        """Go on from what was fetched; whether it may open."""
        disk = self.disk
        if disk.fetched is None and disk.required > (0, 0):
            disk.fetched = self.offered() if self.out and self.into else None
            if disk.fetched is None:
                return False
        if disk.fetched is not None:
            assert not disk.tail, f"{self.name} adopts over what only it has"
            disk.tree = set(disk.fetched)
            self.world.bases[disk.own_epoch] = set(disk.tree)
        return True

    def _stop_writer(self) -> None:
        if self.writer:
            self.world.tell(self.name, "writer-stop", self.disk.own_epoch)
        self.writer = self.healthy = self.held = False

    def _set_address(self, here: bool) -> None:
        if here != self.address:
            self.world.tell(self.name, "address-add" if here else "address-del", self.disk.own_epoch)
        self.address = here

    def _later(self, action: Action, seconds: float, done: Callable[[], None]) -> None:
        """Work of the machine, which goes on when the agent hangs and waits when everything is frozen."""
        world, boot = self.world, self.booted
        self.underway[action] = world.now + seconds

        def finish() -> None:
            if self.booted != boot or not self.powered:
                return
            if self.frozen:
                world.later(0.25, finish)
            else:
                done()

        world.later(seconds, finish)
