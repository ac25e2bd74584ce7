"""When the voters are heard: while something long goes on, and after they were silent for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from appliance.coordination.keys import new_lease
from appliance.coordination.port import Claim
from appliance.failover.claims import apply_record
from appliance.failover.fsm.model import Action, Standing, State
from appliance.failover.fsm.table import decide
from appliance.failover.keeper import Keeper
from appliance.failover.observe import observe
from tests.unit.failover.looks import look
from tests.unit.failover.world import SERVICE, World
from tests.worlds.documents import STANDBY, by_key

LONG_AGO = 1000.0
UNDER_WAY = {
    State.CATCHUP: {"record": None},
    State.STANDBY: {"lag": 1.0, "record": None},
    State.RO_SERVE: {"local": "down", "stale_view": True, "lag": 1.0, "record": None},
    State.RO_ISOLATED: {"local": "down", "record": None},
}
"""A state, and what in it has a pull or a copy under way, which every look finds due again."""


@pytest.mark.parametrize(("state", "given"), UNDER_WAY.items(), ids=map(str, UNDER_WAY))
def test_the_voters_are_asked_while_something_long_goes_on(state: State, given: Mapping[str, Any]) -> None:
    done = {"pull": LONG_AGO, "serve copy": LONG_AGO}
    assert Action.READ not in decide(*look(state, {**given, "done": done})).actions
    assert decide(*look(state, {**given, "done": {**done, "read": 3.1}})).actions == (Action.READ,)


def test_a_home_stands_by_after_a_pull_that_took_longer_than_an_answer_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a peer that does not answer each pull takes as long as a connection may."""
    pulls = list[str]()

    async def play() -> None:
        fetched = asyncio.Event()

        async def pull(service: str) -> None:
            pulls.append(service)
            await fetched.wait()

        monkeypatch.setattr(world.copies, "pull", pull)
        keeper = Keeper(world.ctx)
        for second in range(40):
            world.clock.advance(1.0)
            if second == 30:
                fetched.set()
            keeper.look()
            for _ in range(10):
                await asyncio.sleep(0)

    taken_over(world)
    asyncio.run(play())
    assert pulls == [SERVICE], "one, and no second beside it or because of it"
    assert world.ctx.standing.state is State.STANDBY


def taken_over(world: World) -> None:
    """Another node was granted the service and holds it, with all that was written here."""
    world.ctx.keep(unreplicated_writes=False)
    claim = Claim(SERVICE, STANDBY, "boot-2", new_lease(STANDBY, 1), world.voters.read(SERVICE).owned, 60, "test", "")
    asyncio.run(world.store.acquire(claim))
    world.node.documents.take([by_key(STANDBY, 2).document.raw])
    world.ctx.standing = Standing(State.CATCHUP, world.clock.boottime())


@pytest.mark.parametrize(("silent_seconds", "restarts"), [(5.9, False), (6.1, True)])
def test_who_hears_the_voters_again_after_a_silence_knows_since_when(
    world: World, silent_seconds: float, restarts: bool
) -> None:
    assert world.do(Action.READ)
    begun = world.clock.boottime()
    world.clock.advance(silent_seconds)
    assert world.do(Action.READ)
    record = observe(world.ctx).record
    assert record is not None
    assert record.heard_since == (world.clock.boottime() if restarts else begun)


def test_a_voter_that_names_the_highest_revision_once_makes_nobody_deaf_to_the_others(world: World) -> None:
    asked = world.clock.boottime()
    apply_record(world.ctx, replace(world.voters.read(SERVICE), revision=2**62), asked)
    world.clock.advance(1.0)
    taken_over(world)
    apply_record(world.ctx, world.voters.read(SERVICE), asked, pushed=False)
    assert world.ctx.record is not None
    assert world.ctx.record.holder is None, "it was asked before the other answer came, and may be older"
    apply_record(world.ctx, world.voters.read(SERVICE), world.clock.boottime(), pushed=True)
    assert world.ctx.record.holder is None, "a watch may lag behind"
    assert world.do(Action.READ)
    assert world.ctx.record.holder is not None
    assert world.ctx.record.holder.node == STANDBY


def test_a_store_that_was_brought_back_from_a_copy_is_heard(world: World) -> None:
    taken_over(world)
    assert world.do(Action.READ)
    world.clock.advance(1.0)
    before = replace(world.voters.read(SERVICE), revision=1, owner=None, holder=None)
    apply_record(world.ctx, before, world.clock.boottime())
    assert world.ctx.record == before
