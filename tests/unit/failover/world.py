"""One node that runs one service, over ports in memory: what tests of actions and of the cycle begin with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from appliance.clock import SimulatedClock
from appliance.coordination.port import Claim
from appliance.failover import act
from appliance.failover.context import NodeContext, ServiceContext, begin
from appliance.failover.documents import SignedDocuments
from appliance.failover.fsm.model import Action, Decision, Standing, State
from appliance.failover.keeper import Keeper
from appliance.failover.ports import Presented, Synced
from appliance.trust.bundle import Bundle
from appliance.trust.grant import Grant
from appliance_lab.doubles.memory_machine import MemoryMachine
from appliance_lab.doubles.memory_store import Memory, Store
from tests.worlds.documents import FIRST, HOME
from tests.worlds.voters import KEYS

A = Action
SERVICE = "docs-a"
LEASE = 15.0
LAST = f"00002.0000000007.{'a' * 16}"
"""The generation that the home's last backup sealed."""


@dataclass
class Copies:
    """The calls to backup, one line each."""

    own: Grant | None
    adopted: list[bool]
    has: tuple[str, ...] = ("hermitage", "commune-b")
    while_laying: Callable[[], None] = lambda: None
    generations: list[str] = field(default_factory=list)
    files_here: bool = True
    holds_backups: bool = False
    why_unfit: str = ""
    required: list[str] = field(default_factory=list)
    passed_over: bool | None = None

    def own_grant(self, service: str) -> Grant | None:
        return self.own

    def documents(self, service: str) -> tuple[bytes, ...]:
        return (self.own.document.raw,) if self.own else ()

    def document_folders(self, service: str) -> tuple[Path, ...]:
        return ()

    def files_are_here(self, service: str, opened_epoch: int) -> bool:
        return self.files_here

    def hold_backups(self, service: str, held: bool) -> None:
        self.holds_backups = held

    def unfit(self, service: str) -> str:
        return self.why_unfit

    def view_is_stale(self, service: str) -> bool:
        return False

    async def present(self, service: str) -> Presented:
        return Presented(self.has)

    def is_orphaned(self, service: str, generation: str) -> bool | None:
        return self.passed_over

    async def adopt(self, service: str, *, keep_files: bool, generation: str = "", required: str = "") -> None:
        self.while_laying()
        self.adopted.append(keep_files)
        self.generations.append(generation)
        self.required.append(required)

    async def pull(self, service: str) -> None: ...

    async def sync(self, service: str, to: str = "") -> Synced:
        return Synced(LAST, self.has)

    def expect(self, service: str) -> None: ...

    async def close(self) -> None: ...

    async def install_copy(self, service: str) -> None: ...

    async def keep_branch(self, service: str, epoch: int) -> str:
        return f"branches/{epoch}"


class World:
    """commune-a, the home, which was granted epoch 2 and holds the lease."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self.clock, self.bundle = SimulatedClock(), bundle
        self.machine = MemoryMachine(self.clock)
        self.voters = Store(self.clock)
        self.store = Memory(self.voters)
        self.copies = Copies(FIRST, [])
        self.folder = folder
        documents = SignedDocuments(lambda service: bundle.granters, lambda: bundle.operators)
        documents.take([FIRST.document.raw])
        self.node = NodeContext(
            name=HOME,
            bundle=lambda: bundle,
            clock=self.clock,
            boot_id=self.clock.boot_id(),
            store=self.store,
            brokers={},
            documents=documents,
            own_acts=lambda: (),
            key=KEYS[HOME],
            services=self.machine,
            network=self.machine,
            watchdog=self.machine,
            copies=self.copies,
            folder=lambda service: folder,
            run=folder,
            history=folder / "history.jsonl",
            alarm=lambda service, sentence: None,
        )
        self.ctx: ServiceContext = begin(self.node, SERVICE)

    def do(self, *actions: Action, deadline: float | None = 0.0) -> bool:
        decision = Decision("a.row", "test", actions, Standing(State.ACTIVE, 0.0), deadline=deadline)
        return asyncio.run(act.perform(self.ctx, decision))

    def hold(self) -> None:
        assert self.do(A.READ, A.RETURN)
        assert self.ctx.proven is not None

    def rob(self, by: str = "hermitage") -> None:
        """An attacker in the store gives `by` the lease that another node holds."""
        held = self.voters.read(SERVICE)
        assert held.holder is not None
        lease = held.holder.lease + 1
        self.voters.acquire(
            Claim(SERVICE, by, "forged", lease, held.owned, 15, "forged", "", ousts=held.holder.revision)
        )


SECONDS_MAX = 10.0


def serving(world: World) -> Keeper:
    """The home as it serves: the lease is proven, and everything runs."""
    world.ctx.keep(acknowledged_epoch=2)
    world.hold()
    assert world.do(A.START, A.ADD_ADDRESS, A.PROBE)
    world.ctx.standing = Standing(State.ACTIVE, world.clock.boottime())
    return Keeper(world.ctx)


async def run_until(keeper: Keeper, reached: Callable[[], object]) -> None:
    """Run `keeper` until `reached`, within a bound; then end it as its program does."""
    running = asyncio.create_task(keeper.run())
    try:
        async with asyncio.timeout(SECONDS_MAX):
            while not reached():
                assert not running.done(), running.exception()
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def look(keeper: Keeper) -> None:
    """One look, whose actions do not even begin."""
    keeper.look()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
