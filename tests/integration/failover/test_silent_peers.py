"""Moves between nodes whose storage peers fall silent one after the other, in simulated time: a service is let go once
the next writer has everything, and goes on from nothing older than what the release names."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.errors import Refused
from appliance.failover.fsm.model import Policy
from appliance.failover.ports import Synced
from tests.integration.failover.world import SEEDS, STANDBY, THIRD, World, violated


def moved_beside_silent_peers(policy: Policy, seed: int, **former: Any) -> set[str]:
    """The standby's own vault takes nothing while a move to it is asked for; the other one, which has the last backup,
    falls silent as soon as the home let go or a while after. What the checker finds broken."""
    world = World(policy, seed, **former)
    assert world.run_until(lambda: world.home.standing.state is world.serves_at_home, 60)
    world.run(world.draw.uniform(5, 10))
    world.fault("silent", STANDBY)
    world.run(world.draw.uniform(2, 6))
    world.move(STANDBY)
    world.run_until(lambda: world.voters.released, world.draw.choice((1.0, 5.0, 15.0)))
    world.fault("silent", THIRD)
    world.heal("silent", STANDBY)
    world.run(world.draw.uniform(10, 40))
    return set(violated(world.finish()))


@pytest.mark.parametrize("policy", [Policy.EXCLUSIVE, Policy.LOCAL_FIRST])
def test_a_planned_move_beside_silent_storage_peers_loses_nothing(policy: Policy) -> None:
    found = {seed: broken for seed in SEEDS if (broken := moved_beside_silent_peers(policy, seed))}
    assert found == {}


@pytest.mark.parametrize("policy", [Policy.EXCLUSIVE, Policy.LOCAL_FIRST])
def test_a_move_that_any_receipt_lets_go_loses_what_one_silent_peer_has(policy: Policy) -> None:
    """As it was before: any receipt was enough, and the next writer went on from the newest of those that answered."""

    def any_receipt(it: Any, to: str, found: Synced) -> None:
        if not found.has:
            raise Refused("nobody has it.")

    broken = [moved_beside_silent_peers(policy, seed, receipts=any_receipt, names_last=False) for seed in SEEDS]
    assert {"F7"} <= set().union(*broken)
    only_receipts = [moved_beside_silent_peers(policy, seed, receipts=any_receipt) for seed in SEEDS]
    assert set().union(*only_receipts) == set(), "the next writer waits for what the release names"
