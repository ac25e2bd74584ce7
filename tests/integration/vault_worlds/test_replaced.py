"""Repositories that adoptions put aside do not fill the disk: the newest stays, older ones go once what followed is
safe."""

from __future__ import annotations

import pytest

from appliance.backup.chain.chain import chain_of
from appliance.backup.writer import saved
from appliance.backup.writer.manifest import LeftOut, Manifest
from appliance.backup.writer.replaced import forget_replaced, replaced_repositories
from appliance.backup.writer.writer import safety_of
from appliance.borg.folder import repository_id
from appliance.borg.names import archive_name
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, STANDBY
from tests.worlds.vaults_in_process import World


@pytest.fixture
def world(begun: World) -> World:
    begun.run(ORIGIN)
    return begun


def _move_there_and_back(world: World) -> None:
    for name in (STANDBY, ORIGIN):
        world.adopt(name, world.fetch_to_continue(name))
        world.run(name)


def test_moves_leave_one_replaced_repository_once_the_newest_generation_is_safe(world: World) -> None:
    node = world.vaults.open(ORIGIN)
    layout = node.service(SERVICE)
    for _ in range(3):
        _move_there_and_back(world)
    names = [path.name for path in replaced_repositories(layout)]
    assert len(names) == 3
    assert forget_replaced(node, SERVICE) == tuple(names[:-1])
    assert [path.name for path in replaced_repositories(layout)] == names[-1:]
    assert forget_replaced(node, SERVICE) == ()


def test_a_partial_backup_that_is_held_lets_older_repositories_go(world: World) -> None:
    """One file that can never be read makes each backup partial, and each move left a whole repository for ever."""
    node = world.vaults.open(ORIGIN)
    for _ in range(2):
        _move_there_and_back(world)
    newest = chain_of(node, SERVICE).newest_header()
    assert newest is not None
    archive = archive_name(SERVICE, f"{newest.epoch}.{newest.sequence}", newest.time, 1)
    saved.end(node.service(SERVICE), archive, Manifest((), (LeftOut("/srv/a", "input/output error"),), 1))
    assert not safety_of(node, SERVICE).safe
    assert len(forget_replaced(node, SERVICE)) == 1


def test_nothing_is_removed_before_a_generation_of_the_present_grant_is_safe(world: World) -> None:
    node = world.vaults.open(ORIGIN)
    for _ in range(2):
        _move_there_and_back(world)
    world.adopt(STANDBY, world.fetch_to_continue(STANDBY))
    world.run(STANDBY)
    world.adopt(ORIGIN, world.fetch_to_continue(ORIGIN))
    assert forget_replaced(node, SERVICE) == (), "nothing was sealed since"
    world.down = frozenset({HOLDER, STANDBY})
    world.run(ORIGIN)
    assert forget_replaced(node, SERVICE) == (), "nobody has it yet"
    world.down = frozenset()
    world.run(ORIGIN)
    assert len(forget_replaced(node, SERVICE)) == 2


def test_the_repository_of_before_a_revocation_is_left_to_a_person(world: World) -> None:
    node = world.vaults.open(ORIGIN)
    layout = node.service(SERVICE)
    other = layout.root / "replaced-1"
    other.mkdir()
    (other / "config").write_text(f"[repository]\nversion = 1\nid = {'0' * 64}\n")
    for _ in range(2):
        _move_there_and_back(world)
    assert repository_id(other) != repository_id(layout.repository)
    assert len(forget_replaced(node, SERVICE)) == 1
    assert other.exists()
