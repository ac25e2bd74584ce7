"""A service that was taken over here and does not start is told, for as long as that lasts."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from appliance.coordination.port import ServiceRecord
from appliance.failover.fsm.model import Action
from appliance.failover.keeper import UNSERVED_AGAIN_SECONDS, Keeper
from appliance.node.failover_status import load as load_told
from tests.unit.failover.world import SERVICE, World, look, serving
from tests.worlds.documents import HOME, STANDBY


def test_a_takeover_that_cannot_start_is_told_for_as_long_as_that_lasts(world: World) -> None:
    keeper = serving(world)
    world.ctx.trouble["start"] = "no node could send generation 2.7."
    asyncio.run(look(keeper))
    status = load_told(world.node.run, SERVICE)
    assert status is not None
    assert (status.unserved_since, status.trouble["start"]) == (
        world.clock.boottime(),
        "no node could send generation 2.7.",
    )
    del world.ctx.trouble["start"]
    asyncio.run(look(keeper))
    status = load_told(world.node.run, SERVICE)
    assert status is not None
    assert status.unserved_since is None


def test_a_start_that_failed_here_is_not_told_once_another_node_serves_it(world: World) -> None:
    keeper = Keeper(world.ctx)
    world.hold()
    world.do(Action.READ)
    record = world.ctx.record
    world.ctx.trouble["start"] = "no node could send generation 2.7."
    began = world.clock.boottime()
    assert unserved_since(world, keeper) == began
    hold_by(world, record, STANDBY)
    assert unserved_since(world, keeper) is None
    world.clock.advance(UNSERVED_AGAIN_SECONDS)
    hold_by(world, record, HOME)
    assert unserved_since(world, keeper) == began, "they take turns, and neither can start it"
    hold_by(world, record, STANDBY)
    assert unserved_since(world, keeper) is None
    world.clock.advance(UNSERVED_AGAIN_SECONDS + 1)
    hold_by(world, record, HOME)
    assert unserved_since(world, keeper) == world.clock.boottime()


def hold_by(world: World, seen: ServiceRecord | None, node: str) -> None:
    """Have the voters answer as in `seen`, with `node` as the holder."""
    world.do(Action.READ)
    assert seen is not None
    assert seen.holder is not None
    world.ctx.record = replace(seen, holder=replace(seen.holder, node=node))


def unserved_since(world: World, keeper: Keeper) -> float | None:
    async def once() -> None:
        keeper.look()

    asyncio.run(once())
    status = load_told(world.node.run, SERVICE)
    assert status is not None
    return status.unserved_since
