"""The deadline that the watchdog has of a service, from before the service runs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from appliance.failover.fsm.model import Action, Standing, State
from appliance.failover.keeper import Keeper
from tests.unit.failover.world import LEASE, SERVICE, World

A = Action


def test_from_the_moment_at_which_anything_runs_the_deadline_is_that_of_the_lease_as_it_is_then(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, told = world.machine.start, list[tuple[bool, float | None]]()

    def renew() -> None:
        world.clock.advance(3)
        assert world.ctx.proven is not None
        lease = replace(world.ctx.proven.lease, sent=world.clock.boottime())
        world.ctx.prove(world.ctx.proven.renewed(lease))

    async def started(service: str, epoch: int) -> None:
        told.append((world.ctx.starting, world.machine._deadlines[service]))
        await start(service, epoch)

    async def look() -> None:
        Keeper(world.ctx).look()

    world.ctx.keep(opened_epoch=0, adopts=True)
    world.hold()
    world.copies.while_laying = renew
    monkeypatch.setattr(world.machine, "start", started)
    assert world.do(A.ARM_WATCHDOG, A.START)
    assert told == [(True, world.clock.boottime() + LEASE - 0.5)]
    asyncio.run(world.machine.stop(SERVICE))
    world.ctx.standing, world.ctx.starting = Standing(State.PROMOTING, world.clock.boottime()), True
    renew()
    asyncio.run(look())
    assert world.machine._deadlines[SERVICE] == world.clock.boottime() + LEASE - 0.5
