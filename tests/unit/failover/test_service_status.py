"""The status that a keeper gives its node: which node holds the service, and since when something is not as it should
be."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.coordination.port import Intent
from appliance.failover.fsm.model import Action, State
from appliance.failover.keeper import PAUSED_AGAIN_SECONDS, SILENT_SECONDS, Keeper
from appliance.node import failover_status
from appliance.node.failover_status import ServiceStatus
from appliance.trust.bundle import Bundle
from tests.unit.failover.world import SERVICE, World
from tests.worlds.documents import EXCLUSIVE, HOME, LOCAL, STANDBY, by_key


def tell(world: World, keeper: Keeper | None = None) -> ServiceStatus:
    """Return the status in the file after one look."""

    async def look() -> None:
        (keeper or Keeper(world.ctx)).look()

    asyncio.run(look())
    found = failover_status.load(world.folder, SERVICE)
    assert found is not None
    return found


@pytest.fixture(params=[EXCLUSIVE, LOCAL], ids=["exclusive", "local-first"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> World:
    bundle: Bundle = request.param
    return World(tmp_path, bundle)


def test_who_holds_the_service_is_told_by_the_voters(world: World) -> None:
    world.hold()
    world.do(Action.READ)
    found = tell(world)
    assert (found.holder, found.writer, found.newest_epoch) == (HOME, HOME, 2)
    assert (found.vacant_since, found.unheard_since, found.contested_since, found.paused_since) == (None,) * 4


def test_a_vacancy_is_told_with_its_beginning(world: World) -> None:
    world.do(Action.READ)
    assert (tell(world).holder, tell(world).vacant_since) == ("", world.ctx.vacant_since)


def test_without_an_answer_nothing_is_told_of_the_holder_and_never_nobody(world: World) -> None:
    keeper = Keeper(world.ctx)
    world.do(Action.READ)
    asked = world.clock.boottime()
    world.clock.advance(SILENT_SECONDS + 1)
    found = tell(world, keeper)
    assert (found.holder, found.vacant_since, found.unheard_since) == (None, None, asked)


def test_a_program_that_was_never_answered_tells_its_own_beginning(world: World) -> None:
    world.clock.advance(3 * SILENT_SECONDS)
    keeper, began = Keeper(world.ctx), world.clock.boottime()
    assert tell(world, keeper).unheard_since == began


def test_a_holder_whom_the_newest_grant_does_not_name_is_told_from_then_on(world: World) -> None:
    world.hold()
    world.do(Action.READ)
    keeper = Keeper(world.ctx)
    assert tell(world, keeper).contested_since is None
    world.node.documents.take([by_key(STANDBY, 2).document.raw])
    begun = world.clock.boottime()
    assert tell(world, keeper).contested_since == begun
    world.clock.advance(5)
    found = tell(world, keeper)
    assert (found.contested_since, found.holder, found.writer) == (begun, HOME, STANDBY)


def test_a_pause_is_told_with_who_asked_for_it_and_goes_on_when_it_is_asked_again(world: World) -> None:
    keeper = Keeper(world.ctx)
    first = pause(world, lease=7)
    began = world.clock.boottime()
    assert (tell(world, keeper).paused_since, tell(world, keeper).paused_by) == (began, "somebody")
    end(world, first)
    assert tell(world, keeper).paused_since is None
    world.clock.advance(PAUSED_AGAIN_SECONDS)
    second = pause(world, lease=8)
    assert tell(world, keeper).paused_since == began
    end(world, second)
    assert tell(world, keeper).paused_since is None
    world.clock.advance(PAUSED_AGAIN_SECONDS + 1)
    pause(world, lease=9)
    assert tell(world, keeper).paused_since == world.clock.boottime(), "another one"


def test_a_time_that_another_node_wrote_wrongly_stops_nothing(world: World) -> None:
    world.hold()
    world.do(Action.READ)
    record = world.ctx.record
    assert record is not None
    assert record.owner is not None
    assert tell(world).owned is not None
    world.ctx.record = replace(record, owner=replace(record.owner, time="yesterday"))
    assert tell(world).owned is None


def test_what_another_version_wrote_is_not_read(tmp_path: Path) -> None:
    for content in ("", "[]", '{"service": "docs-a", "moon": 1}'):
        failover_status.path_of(tmp_path, SERVICE).write_text(content)
        assert failover_status.load(tmp_path, SERVICE) is None


def test_only_what_was_told_in_this_boot_says_that_a_service_is_being_handed_over(tmp_path: Path) -> None:
    assert not failover_status.is_handing_over(tmp_path, SERVICE, "this boot")
    for state, boot_id, expected in (
        (State.DRAINING, "this boot", True),
        (State.DRAINING, "the boot before", False),
        (State.ACTIVE, "this boot", False),
    ):
        failover_status.save(tmp_path, ServiceStatus(SERVICE, boot_id, state, "", ""))
        assert failover_status.is_handing_over(tmp_path, SERVICE, "this boot") is expected


def pause(world: World, lease: int) -> Intent:
    """Somebody asks for a pause, and the node hears of it."""
    asked = Intent(SERVICE, "pause", "", "somebody", "maintenance", lease, 3600)
    asyncio.run(world.store.report(asked))
    world.do(Action.READ)
    return asked


def end(world: World, asked: Intent) -> None:
    asyncio.run(world.store.withdraw(asked))
    world.do(Action.READ)
