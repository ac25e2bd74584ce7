"""A node keeps a branch, by an exclusive service."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.errors import Refused
from appliance.failover.fsm.model import Action
from appliance.failover.observe import observe
from appliance.node.branch import Branch
from tests.unit.failover.world import SERVICE, World

A = Action


def test_what_a_node_kept_of_a_branch_stays_with_its_epoch(world: World) -> None:
    told: list[str] = []
    world.ctx.node = replace(world.node, alarm=lambda service, sentence: told.append(sentence))
    assert world.do(A.KEEP_BRANCH)
    assert (world.ctx.durable.unreplicated_writes, world.ctx.durable.branch) == (False, Branch.KEPT)
    assert f"`appliance failover merge {SERVICE} --dry-run`" in told[0]
    assert "branches/2" in (world.folder / "history.jsonl").read_text()


def test_who_hears_of_a_branch_of_a_database_is_not_told_to_merge_it(world: World) -> None:
    told: list[str] = []
    world.ctx.node = replace(world.node, alarm=lambda service, sentence: told.append(sentence))
    territory = world.bundle.territory
    database = replace(territory.services[SERVICE], kind="postgresql")
    changed = replace(world.bundle, territory=replace(territory, services={**territory.services, SERVICE: database}))
    world.ctx.node = replace(world.ctx.node, bundle=lambda: changed)
    assert world.do(A.KEEP_BRANCH)
    assert f"never merged: check its dump there, then `appliance failover merge {SERVICE} --leave`" in told[0]


def test_as_long_as_a_branch_is_being_kept_nobody_gives_up_on_the_service(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    async def keep(service: str, epoch: int) -> str:
        seen.append(observe(world.ctx).installed_at == world.clock.boottime())
        return "branches/2"

    monkeypatch.setattr(world.copies, "keep_branch", keep)
    assert world.do(A.KEEP_BRANCH)
    assert seen == [True]


def test_a_branch_is_tried_on_a_disk_too_full_to_call_a_person_and_what_fails_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(service: str, sentence: str) -> None:
        raise OSError(28, "No space left on device")

    async def refuse(service: str, epoch: int) -> str:
        raise Refused("writes made here could not be saved as a branch: the disk is full")

    world.ctx.node = replace(world.node, alarm=full)
    with monkeypatch.context() as filled:
        filled.setattr(world.copies, "keep_branch", refuse)
        assert not world.do(A.ALARM, A.KEEP_BRANCH)
    assert world.ctx.trouble[A.KEEP_BRANCH].startswith("writes made here could not be saved as a branch")
    assert A.KEEP_BRANCH in world.ctx.last, "the next try waits"
    assert world.do(A.ALARM, A.KEEP_BRANCH)
    assert not world.ctx.durable.unreplicated_writes
