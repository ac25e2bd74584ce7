"""A lease that was taken before it could end: its holder stops, and gives nothing up whatever the store says."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import NoSpace
from appliance.failover.context import begin
from appliance.failover.fsm.model import Action as A
from appliance.failover.observe import observe
from appliance.node import failover_state as keeping
from appliance.node.failover_state import DurableState
from tests.unit.failover.world import LEASE, SERVICE, World
from tests.worlds.documents import HOME


def test_who_is_robbed_of_a_lease_that_could_not_have_ended_gives_nothing_up_until_it_holds_again_or_releases(
    world: World,
) -> None:
    world.hold()
    world.rob()
    assert not world.do(A.RENEW)
    assert observe(world.ctx).lost
    assert world.ctx.has_not_released
    assert begin(world.node, SERVICE).has_not_released, "its next program knows"
    world.ctx.keep(released_epoch=2)
    assert not world.ctx.has_not_released
    world.ctx.keep(released_epoch=0)
    world.clock.advance(LEASE + 1)
    world.hold()
    assert not world.ctx.has_not_released


def test_a_full_disk_keeps_nobody_from_stopping_and_going_on_who_was_robbed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, durable: DurableState) -> None:
        raise NoSpace("the disk is full.", where=str(path))

    world.hold()
    monkeypatch.setattr(keeping, "save", full)
    world.rob()
    assert not world.do(A.RENEW)
    assert observe(world.ctx).lost
    assert world.ctx.has_not_released
    world.voters.advance(LEASE + 1)
    world.hold()
    assert not observe(world.ctx).lost
    assert not world.ctx.has_not_released


def test_a_lease_that_was_forged_for_who_was_robbed_is_given_back_and_nothing_else(world: World) -> None:
    world.ctx.keep(unreplicated_writes=False)
    world.hold()
    world.rob()
    assert not world.do(A.RENEW)
    world.rob(by=HOME)
    assert world.do(A.READ)
    assert world.do(A.RELEASE)
    assert world.voters.read(SERVICE).holder is None
    assert world.ctx.has_not_released
    assert not world.ctx.release_path.exists()
    assert world.node.documents.release_of(SERVICE) is None
