"""A grant of the key holder that `backup resync` adopted beside failover brings the service back into service."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.failover.context import begin
from appliance.failover.fsm.model import Action, Standing, State
from appliance.failover.keeper import ADOPTING, Keeper
from appliance.failover.observe import observe
from appliance.trust.bundle import Bundle
from appliance.trust.grant import Grant
from tests.unit.failover.world import LAST, SERVICE, World
from tests.worlds.documents import EXCLUSIVE, HOME, LOCAL, MIRROR, by_key, by_voters

BEFORE = by_voters(HOME, 2)
BY_KEY = by_key(HOME, 3)
"""Epoch 4."""


def waiting(folder: Path, bundle: Bundle, *, files_here: bool = True) -> World:
    """The home waits, its own disk holds no copy of others; it wrote until epoch 3, or another did."""
    world = World(folder, bundle)
    world.ctx.keep(opened_epoch=3, released_epoch=3, acknowledged_epoch=3, unreplicated_writes=False)
    world.copies.why_unfit, world.copies.files_here = "no generation is held here", files_here
    world.ctx.standing = Standing(State.CATCHUP, world.clock.boottime())
    return world


def adopt(world: World, grant: Grant) -> None:
    """As `backup resync --grant` leaves it: in the chain, and shown."""
    world.copies.own = grant
    world.node.documents.take([grant.document.raw])


def look(world: World, times: int = 3) -> State:
    """Where the table leads; nothing that it asks for is done but to hear the voters."""
    keeper = Keeper(world.ctx)
    keeper._begin = lambda decision: None  # type: ignore[method-assign]
    for _ in range(times):
        world.do(Action.READ)
        keeper.look()
    assert ADOPTING not in world.ctx.trouble
    return world.ctx.standing.state


@pytest.mark.parametrize("bundle", [LOCAL, MIRROR])
def test_a_home_that_wrote_last_serves_at_once_under_a_grant_of_the_key_holder(tmp_path: Path, bundle: Bundle) -> None:
    """It stayed in CATCHUP for ever, "the pull goes on": an origin holds no generation of its own service."""
    world = waiting(tmp_path, bundle)
    adopt(world, BY_KEY)
    assert look(world) is State.ISOLATED_RW
    assert world.ctx.durable.opened_epoch == BY_KEY.epoch


def test_an_exclusive_home_becomes_a_candidate_under_a_grant_of_the_key_holder(tmp_path: Path) -> None:
    world = waiting(tmp_path, EXCLUSIVE)
    adopt(world, BY_KEY)
    assert look(world) is State.GRACE
    assert observe(world.ctx).copy.unfit == ""


def test_a_home_whose_service_another_wrote_last_lays_the_newest_files_before_it_serves(tmp_path: Path) -> None:
    world = waiting(tmp_path, LOCAL, files_here=False)
    adopt(world, BY_KEY)
    assert look(world) is State.GRACE, "it does not serve the files of before, which lie here"
    assert world.ctx.durable.adopts
    assert world.copies.holds_backups, "nor are they backed up as the newest"
    assert world.ctx.durable.opened_epoch == 3


def test_a_service_that_runs_here_goes_on_under_a_grant_of_the_key_holder(tmp_path: Path) -> None:
    world = waiting(tmp_path, LOCAL, files_here=False)
    world.ctx.keep(released_epoch=0)
    world.copies.own = BEFORE
    world.hold()
    assert world.do(Action.START)
    adopt(world, BY_KEY)
    world.ctx.standing = Standing(State.ISOLATED_RW, world.clock.boottime())
    assert look(world) is State.ISOLATED_RW
    assert world.machine.look(SERVICE).writer
    assert not world.copies.holds_backups


def test_a_grant_of_the_voters_counts_as_opened_by_failover_alone(tmp_path: Path) -> None:
    world = waiting(tmp_path, LOCAL)
    newer = by_voters(HOME, 4)
    adopt(world, newer)
    look(world)
    assert world.ctx.durable.opened_epoch == 3


def test_the_home_of_a_mirror_on_a_new_machine_lays_its_files_as_it_starts(tmp_path: Path) -> None:
    """It stayed in CATCHUP, and asked for a lease that nobody may have, until its program was started again."""
    world = waiting(tmp_path, MIRROR, files_here=False)
    adopt(world, BY_KEY)
    assert look(world) is State.ISOLATED_RW
    assert world.do(Action.START, deadline=None)
    assert world.copies.adopted == [False], "what lies here does not stay"
    assert (world.ctx.durable.opened_epoch, world.ctx.durable.adopts) == (BY_KEY.epoch, False)


def test_a_program_that_starts_anew_takes_no_empty_folder_for_the_service(tmp_path: Path) -> None:
    world = World(tmp_path, LOCAL)
    world.copies.own, world.copies.files_here = BY_KEY, False
    (tmp_path / "failover.json").unlink()
    ctx = begin(world.node, SERVICE)
    assert ctx.durable.opened_epoch == 0


def test_a_grant_of_the_key_holder_ends_what_an_epoch_that_was_never_opened_had_to_go_on_from(tmp_path: Path) -> None:
    """Its release named a generation that a person had given up, for which the next writer would wait for ever."""
    world = waiting(tmp_path, LOCAL, files_here=False)
    world.ctx.keep(adopts=True, required=LAST, generation=LAST)
    adopt(world, BY_KEY)
    look(world)
    durable = world.ctx.durable
    assert (durable.adopts, durable.required, durable.generation) == (True, "", "")
