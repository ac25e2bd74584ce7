"""A peer shows an older state of what it holds: everybody is asked, the newest wins, and who offers less is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.backup.peers.fetch import fetch_newest
from appliance.backup.peers.openable import open_best
from appliance.backup.vault.replicas import replica_of
from appliance.backup.writer import writer
from appliance.borg.client import Borg
from appliance.errors import NotFound
from appliance_lab.checkers.tree_record import compare, take
from tests.integration.faults.world import BLIND, HOLDERS, ORIGIN, SERVICE, STANDBY, FaultWorld


def withhold(world: FaultWorld, name: str) -> Callable[[], None]:
    """Keep a copy of what `name` holds now; calling the answer puts it in the place of what it holds then."""
    holding = replica_of(world.node(name), SERVICE).root
    older = world.work / f"older-{name}"
    shutil.copytree(holding, older)

    def put_back() -> None:
        shutil.rmtree(holding)
        older.rename(holding)

    return put_back


def lose_origin(world: FaultWorld) -> None:
    """The writer's repository is gone, its keys are not: what it restores comes from its peers."""
    shutil.rmtree(world.layout().repository)


def restore(world: FaultWorld, source: str, tmp_path: Path) -> tuple[str, str, Path]:
    """Restore the newest archive from `source`: its generation, what was told, where the documents are."""
    opened = open_best(world.node(), SERVICE, source)
    borg = Borg(opened.repository)
    borg.extract(borg.archives()[-1].name, [], tmp_path / "restored")
    return opened.generation, opened.told, tmp_path / "restored" / str(world.documents).lstrip("/")


@pytest.mark.parametrize("liar", HOLDERS)
def test_the_newest_is_taken_from_who_has_it_and_who_offers_less_is_named(
    world: FaultWorld, liar: str, tmp_path: Path
) -> None:
    put_back = withhold(world, liar)
    world.change()
    world.save()
    put_back()
    lose_origin(world)
    generation, told, restored = restore(world, "auto", tmp_path)
    assert generation == "2.2"
    assert f"These nodes offer less than generation 2.2: {liar}." in told
    assert compare(world.acknowledged[-1].record, take(restored, as_root=False)) == ()


def test_with_one_answer_it_is_said_that_the_newest_cannot_be_told(world: FaultWorld, tmp_path: Path) -> None:
    """The peer that has the newest is down: what the liar offers is restored, and is not taken for the newest."""
    put_back = withhold(world, BLIND)
    world.change()
    world.save()
    put_back()
    for name in world.territory.nodes:
        if name not in (BLIND, ORIGIN):
            world.territory.nodes[name].stop()
    lose_origin(world)
    generation, told, restored = restore(world, "auto", tmp_path)
    assert generation == "2.1"
    assert f"{STANDBY} does not answer" in told
    assert "Fewer than two peers answered, so this may be an older state and not the newest." in told
    assert compare(world.acknowledged[0].record, take(restored, as_root=False)) == ()


def test_asked_alone_the_peer_is_not_believed_to_be_the_newest(world: FaultWorld, tmp_path: Path) -> None:
    generation, told, _ = restore(world, f"peer:{BLIND}", tmp_path)
    assert generation == "2.1"
    assert told == f"Only {BLIND} was asked whether this is the newest."


def test_the_command_line_names_who_offers_less(world: FaultWorld) -> None:
    put_back = withhold(world, BLIND)
    world.change()
    world.save()
    put_back()
    node = world.territory.nodes[ORIGIN]
    asked = node.cli("backup", "resync", SERVICE, "--request", str(world.work / "request"), check=False)
    assert asked.exit_code == 1
    assert f"{BLIND} should hold generation 2.2 and does not offer it" in asked.stderr.decode()


def test_a_peer_that_offers_nothing_is_passed_over_and_nobody_at_all_is_said(world: FaultWorld, tmp_path: Path) -> None:
    roots = {name: replica_of(world.node(name), SERVICE).root for name in HOLDERS}
    for name, root in roots.items():
        root.rename(tmp_path / name)
    with pytest.raises(NotFound, match="no peer that answered holds a generation"):
        fetch_newest(world.node(), SERVICE, tmp_path / "fetched")
    for name, root in roots.items():
        (tmp_path / name).rename(root)  # the end of each fault looks at the counters of all pools


def test_what_a_peer_let_go_is_brought_again_by_the_next_run(world: FaultWorld) -> None:
    put_back = withhold(world, BLIND)
    world.change()
    world.save()
    put_back()
    world.change()
    done = writer.run(world.node(), SERVICE)
    assert done.safety.safe
    world.assert_verified(BLIND)
