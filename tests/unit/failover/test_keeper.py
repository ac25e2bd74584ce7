"""The cycle of one service, over ports in memory: what it hears, what a former program left, what must not end it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.coordination.keys import new_lease
from appliance.coordination.port import Claim, Intent
from appliance.failover.keeper import Keeper
from appliance.failover.model import Action, Standing, State
from appliance.failover.observe import observe
from appliance.failover.situation import begin
from tests.unit.failover.test_act import LEASE, SERVICE, World
from tests.unit.failover.test_granting import EXCLUSIVE, STANDBY

A = Action
SECONDS_MAX = 10.0


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, EXCLUSIVE)


def serving(world: World) -> Keeper:
    """The home as it serves: the lease is proven, and everything runs."""
    world.it.keep(acknowledged_epoch=2)
    world.hold()
    assert world.do(A.START, A.ADD_ADDRESS, A.PROBE)
    world.it.standing = Standing(State.ACTIVE, world.clock.boottime())
    return Keeper(world.it)


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


def test_a_holder_hears_of_a_move_after_the_store_has_forgotten_what_followed_its_last_answer(world: World) -> None:
    keeper = serving(world)
    for lease in (1001, 1002):
        noise = Intent("docs-b", "pause", "", "somebody", "", lease, 60)
        asyncio.run(world.store.report(noise))
        asyncio.run(world.store.withdraw(noise))
    world.voters.compact()
    asyncio.run(world.store.report(Intent(SERVICE, "move", STANDBY, "somebody", "flood", 1003, 60)))
    asyncio.run(run_until(keeper, lambda: _is_let_go(world)))


def _is_let_go(world: World) -> bool:
    state = world.voters.read(SERVICE)
    return state.holder is None and state.owner is not None and state.owner.released


def test_another_program_goes_on_with_what_an_earlier_one_of_this_boot_left_running(world: World) -> None:
    serving(world)
    keeper = Keeper(begin(world.site, SERVICE))
    asyncio.run(run_until(keeper, lambda: keeper.it.standing.state is State.ACTIVE))
    told = (world.folder / "history.jsonl").read_text()
    assert "boot.resume" in told
    assert "writer-stop" not in told


def test_what_an_earlier_program_left_running_and_does_not_answer_is_found_out(world: World) -> None:
    serving(world)
    world.machine.sick.add(SERVICE)
    keeper = Keeper(begin(world.site, SERVICE))
    asyncio.run(run_until(keeper, lambda: keeper.it.standing.state is State.PROMOTING))


def depose(world: World) -> None:
    """Another node takes the lease, as after a signed act; the home learns of it by its next renewal."""
    state = world.voters.read(SERVICE)
    assert state.holder is not None
    lease = new_lease(STANDBY, 1)
    asked = Claim(SERVICE, STANDBY, "boot-2", lease, state.owned, 15, "an act", "", ousts=state.holder.revision)
    asyncio.run(world.store.acquire(asked))


def test_the_watchdog_still_ends_what_runs_after_the_voters_said_that_the_lease_is_gone(world: World) -> None:
    """The program may hang before the service has stopped."""
    keeper = serving(world)
    depose(world)
    assert not world.do(A.RENEW)
    assert observe(world.it).lost
    asyncio.run(look(keeper))
    assert keeper.it.standing.state is State.DEMOTING
    assert world.machine.look(SERVICE).writer, "whoever is to stop it hangs"
    world.clock.advance(LEASE - 0.5)
    assert not world.machine.look(SERVICE).writer


async def look(keeper: Keeper) -> None:
    """One look, whose actions do not even begin."""
    keeper.look()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
