"""A holder at rest: what it tells, and when it looks again."""

from __future__ import annotations

import math

import pytest

from appliance.failover.fsm.model import Action, Decision
from appliance.failover.keeper import Keeper
from appliance.failover.observe import observe
from appliance.node.failover_status import load as load_told
from tests.unit.failover.world import SERVICE, World, serving

A = Action


def told_after(keeper: Keeper, row: str, *actions: Action) -> str:
    """The row that stands for others to read once `keeper` has met `row`."""
    ctx = keeper.ctx
    keeper._show(observe(ctx), Decision(row, "test", actions, ctx.standing))
    status = load_told(ctx.node.run, SERVICE)
    assert status is not None
    return status.row


def test_a_row_that_is_met_for_one_look_is_not_told_and_one_that_lasts_is(world: World) -> None:
    keeper = serving(world)

    rows = ("active.stay", "renew", "active.stay", "renew", "renew")
    assert [told_after(keeper, row) for row in rows] == ["active.stay"] * 4 + ["renew"]


def test_what_lasts_between_renewals_is_told(world: World) -> None:
    keeper = serving(world)

    assert told_after(keeper, "suspect.proven") == "suspect.proven"
    assert [told_after(keeper, "renew", A.RENEW), told_after(keeper, "active.stay")] == ["suspect.proven"] * 2
    assert [told_after(keeper, "renew", A.RENEW), told_after(keeper, "active.stay")] == [
        "suspect.proven",
        "active.stay",
    ]


def test_a_service_that_answered_is_asked_at_each_third_renewal_and_a_started_one_at_each(world: World) -> None:
    keeper, timers = serving(world), world.node.timers
    assert keeper._probe_every() == 3 * timers.renew
    world.clock.advance(1.0)
    world.ctx.started_at = world.clock.boottime()
    assert keeper._probe_every() == timers.renew


def test_whatever_wakes_a_holder_it_looks_again_when_a_renewal_is_due(world: World) -> None:
    keeper, timers = serving(world), world.node.timers
    assert keeper._left() == pytest.approx(timers.renew)
    world.clock.advance(timers.renew - 0.1)
    assert keeper._left() == pytest.approx(0.1), "as a watch that ended would wake it"
    world.clock.advance(0.1)
    world.ctx.last[A.RENEW] = world.clock.boottime()
    assert keeper._left() == pytest.approx(timers.request), "nobody says that a renewal has failed"
    world.clock.advance(timers.request)
    assert keeper._left() == pytest.approx(timers.ttl - timers.stop - timers.epsilon - timers.renew - timers.request)
    world.clock.advance(timers.ttl)
    assert keeper._left() == math.inf
