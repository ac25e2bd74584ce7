"""The memory of a machine beside its state folder, case by case; `test_generations_machine` looks for more."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.lineage import prove, remember
from appliance.backup.writer.writer import push_newest
from appliance.errors import Refused
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, SPARE, STANDBY
from tests.worlds.vaults_in_process import World

ALL = frozenset({STANDBY, HOLDER, SPARE})


@pytest.fixture
def world(begun: World) -> World:
    """A service with one generation at both holders."""
    begun.run(ORIGIN)
    return begun


@pytest.fixture
def put_back(world: World, tmp_path: Path) -> Callable[[], None]:
    """Put the origin's state folder back to what it was after the first run."""
    image, state = tmp_path / "image", world.vaults.layout(ORIGIN).root
    shutil.copytree(state, image)

    def put_back() -> None:
        shutil.rmtree(state)
        shutil.copytree(image, state)

    return put_back


def test_what_two_cut_runs_sealed_is_remembered_before_it_is_sent(world: World, put_back: Callable[[], None]) -> None:
    """Otherwise an older image would pass for the newest, alone or beside a peer that the push did not reach."""
    world.down = ALL
    world.run(ORIGIN, stop="sealed")
    world.down = frozenset({HOLDER})
    world.run(ORIGIN, stop="sealed")
    assert any(outcome.receipt for outcome in push_newest(world.vaults.open(ORIGIN), SERVICE))
    put_back()
    for world.down in (ALL, ALL - {HOLDER}):
        with pytest.raises(Refused, match="older image"):
            world.run(ORIGIN)


def test_an_older_image_pushes_nothing_that_it_had_not_sent(world: World, tmp_path: Path) -> None:
    """It was sealed with counters that another generation has used since."""
    state, image = world.vaults.layout(ORIGIN).root, tmp_path / "with-an-unsent-one"
    before = tmp_path / "before"
    shutil.copytree(state, before)
    world.down = ALL
    world.run(ORIGIN, stop="sealed")
    shutil.copytree(state, image)
    shutil.rmtree(state)
    shutil.copytree(before, state)
    world.run(ORIGIN, stop="remembered")
    shutil.rmtree(state)
    shutil.copytree(image, state)
    world.down = frozenset()
    with pytest.raises(Refused, match="older image"):
        push_newest(world.vaults.open(ORIGIN), SERVICE)


def test_alone_only_the_last_sealed_or_one_cut_after_it_goes_on(world: World) -> None:
    world.down = ALL
    world.run(ORIGIN)
    world.run(ORIGIN, stop="sealed")
    world.run(ORIGIN, stop="sealed")
    with pytest.raises(Refused, match="no peer answers"):
        world.run(ORIGIN)
    world.down = ALL - {STANDBY}
    world.run(ORIGIN)


def test_a_machine_without_memory_needs_every_peer(world: World) -> None:
    node = world.vaults.open(ORIGIN)
    node.layout.lineage.unlink()
    for world.down, said in (
        (ALL, "no peer answers"),
        (frozenset({HOLDER}), "not all peers answer .missing: commune-b"),
    ):
        with pytest.raises(Refused, match=said):
            world.run(ORIGIN)
    world.down = frozenset()
    world.run(ORIGIN)


def test_a_service_that_was_never_sealed_may_begin_alone(world: World) -> None:
    node = world.vaults.open(ORIGIN)
    prove(node, "docs-new", chain_of(node, "docs-new"), None, answered=(), silent=(HOLDER,))


def test_services_sealed_at_once_do_not_forget_each_other(world: World) -> None:
    """They share the file."""
    node = world.vaults.open(ORIGIN)
    sealed = chain_of(node, SERVICE).newest()
    assert sealed is not None
    names = [f"docs-{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: remember(node, name, sealed), names))
    for name in names:
        prove(node, name, chain_of(node, SERVICE), sealed, answered=(), silent=())
