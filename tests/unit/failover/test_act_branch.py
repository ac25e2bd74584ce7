"""What a node does to keep a branch, by an exclusive service."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.errors import Refused
from appliance.failover.model import Action
from tests.unit.failover.test_act import World
from tests.unit.failover.test_granting import EXCLUSIVE

A = Action


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, EXCLUSIVE)


def test_what_a_node_kept_of_a_branch_stays_with_its_epoch(world: World) -> None:
    assert world.do(A.KEEP_BRANCH)
    assert not world.it.kept.tail
    assert "branches/2" in (world.folder / "history.jsonl").read_text()


def test_a_branch_is_tried_on_a_disk_too_full_to_call_a_person_and_what_fails_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(service: str, sentence: str) -> None:
        raise OSError(28, "No space left on device")

    async def refuse(service: str, epoch: int) -> str:
        raise Refused("what was written here could not be kept apart: the disk is full")

    world.it.site = replace(world.site, alarm=full)
    with monkeypatch.context() as filled:
        filled.setattr(world.copies, "keep_branch", refuse)
        assert not world.do(A.ALARM, A.KEEP_BRANCH)
    assert world.it.trouble[A.KEEP_BRANCH].startswith("what was written here could not be kept apart")
    assert A.KEEP_BRANCH in world.it.last, "the next try waits"
    assert world.do(A.ALARM, A.KEEP_BRANCH)
    assert not world.it.kept.tail
