"""A sealed segment that is gone from the writer's repository is noticed before the next generation is sealed."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.backup.chain.seal import CorruptSegment, will_compact
from appliance.backup.writer.repair import find_corrupt, repair
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE
from tests.worlds.vaults_in_process import World


@pytest.fixture
def world(begun: World) -> World:
    """A service of two segments, held whole at both holders."""
    begun.run(ORIGIN)
    begun.run(ORIGIN)
    return begun


def repository(world: World) -> Path:
    return world.vaults.open(ORIGIN).service(SERVICE).repository


def test_a_segment_that_is_gone_stops_the_seal_and_comes_back_from_a_peer(world: World) -> None:
    segment = repository(world) / "data/0/1"
    good = segment.read_bytes()
    segment.unlink()
    before = world.vaults.holding(HOLDER).stored()
    with pytest.raises(CorruptSegment, match="1 sealed files are missing") as refused:
        world.run(ORIGIN)
    assert str(segment) in str(refused.value)
    assert f"appliance backup repair {SERVICE}" in refused.value.remedy
    assert world.vaults.holding(HOLDER).stored() == before
    done = repair(world.vaults.open(ORIGIN), SERVICE)
    assert (done.mended, done.left) == (("data/0/1",), ())
    assert segment.read_bytes() == good
    world.run(ORIGIN)


def test_a_folder_of_segments_that_is_gone_comes_back_too(world: World) -> None:
    folder = repository(world) / "data/0"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert repair(world.vaults.open(ORIGIN), SERVICE).left == ()
    world.run(ORIGIN)


def test_what_compaction_removed_is_no_loss_until_the_next_seal(world: World) -> None:
    will_compact(world.vaults.open(ORIGIN).service(SERVICE))
    (repository(world) / "data/0/1").unlink()
    assert find_corrupt(world.vaults.open(ORIGIN), SERVICE) == (1, ())
    world.run(ORIGIN)
    (repository(world) / "data/0/2").unlink()
    with pytest.raises(CorruptSegment):
        world.run(ORIGIN)


def test_what_no_peer_brings_stays_lost_and_is_told(world: World) -> None:
    (repository(world) / "data/0/1").unlink()
    world.down = frozenset(peer for peer in world.vaults.clocks if peer != ORIGIN)
    done = repair(world.vaults.open(ORIGIN), SERVICE)
    assert (done.mended, done.left) == ((), ("data/0/1",))
