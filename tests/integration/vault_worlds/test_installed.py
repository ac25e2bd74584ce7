"""Whether the files of a service that lie here are those of the grant that was adopted here, or older ones."""

from __future__ import annotations

import pytest

from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.installed import files_are_here
from tests.worlds.vaults import ORIGIN, SERVICE, STANDBY
from tests.worlds.vaults_in_process import World

OPENED = 2
"""The epoch under which failover opened the service at its origin last."""


@pytest.fixture
def world(begun: World) -> World:
    """The origin wrote 2.1, then the standby 4.2; the origin adopted epoch 6, and nothing was laid in place yet."""
    begun.run(ORIGIN)
    begun.adopt(STANDBY, begun.fetch_to_continue(STANDBY))
    begun.run(STANDBY)
    begun.adopt(ORIGIN, begun.fetch_to_continue(ORIGIN))
    return begun


def are_here(world: World, opened: int = OPENED) -> bool:
    node = world.vaults.open(ORIGIN)
    grants = chain_of(node, SERVICE).grants()
    return files_are_here(node, SERVICE, grants[max(grants)], opened)


def test_files_of_before_another_wrote_are_not_those_of_a_grant_that_followed(world: World) -> None:
    assert not are_here(world)


def test_a_grant_that_was_never_opened_makes_older_files_no_newer_by_another_grant(world: World) -> None:
    """Asked for a second time, the files of 2.1 were served and saved as what follows 4.2."""
    world.adopt(ORIGIN, world.fetch_to_continue(ORIGIN))
    assert not are_here(world)


def test_files_that_were_saved_under_the_grant_before_are_those_of_the_next(world: World) -> None:
    world.run(ORIGIN)
    world.adopt(ORIGIN, world.fetch_to_continue(ORIGIN))
    assert are_here(world)


def test_files_that_failover_opened_under_the_grant_before_are_those_of_the_next(world: World) -> None:
    world.adopt(ORIGIN, world.fetch_to_continue(ORIGIN))
    assert are_here(world, opened=6)
