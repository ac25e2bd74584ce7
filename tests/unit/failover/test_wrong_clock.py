"""Signed acts at a node whose wall clock is behind, as a board without a clock battery has it after a blackout."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from appliance.failover.fsm.model import State
from appliance.failover.observe import acts_in_force, observe
from appliance.units import DAY
from tests.unit.failover.world import World, run_until, serving
from tests.worlds.documents import HOME, STANDBY, act


def test_a_home_in_quarantine_that_boots_in_the_past_serves_nothing(world: World) -> None:
    now = world.clock.now()
    quarantine = act("quarantine", HOME, "any", now, now + 14 * DAY)
    world.ctx.node = replace(world.node, own_acts=lambda: (quarantine,))
    world.clock.jump_wall(-3650 * DAY)
    keeper = serving(world)
    asyncio.run(run_until(keeper, lambda: keeper.ctx.standing.state is State.FENCED))
    assert observe(world.ctx).requests.quarantined


def test_a_quarantine_that_was_taken_back_stays_taken_back_for_a_home_that_boots_in_the_past(world: World) -> None:
    now = world.clock.now()
    acts = (act("quarantine", HOME, "any", now, now + 14 * DAY), act("quarantine", HOME, "any", now + 1, now + 1))
    world.ctx.node = replace(world.node, own_acts=lambda: acts)
    world.clock.jump_wall(-3650 * DAY)
    assert not observe(world.ctx).requests.quarantined


def test_what_lets_a_node_do_something_waits_for_its_clock(world: World) -> None:
    now = world.clock.now()
    acts = (act("promote", HOME, "any", now, now + DAY), act("lost", STANDBY, "any", now, now + DAY))
    world.ctx.node = replace(world.node, own_acts=lambda: acts)
    assert sorted(it.act for it in acts_in_force(world.ctx)) == ["lost", "promote"]
    world.clock.jump_wall(-3650 * DAY)
    assert acts_in_force(world.ctx) == ()
