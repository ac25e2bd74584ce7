"""A guest whose clock stands still while its hypervisor pauses it (`kvm-clock`): it knows of no lease that ended."""

from __future__ import annotations

import pytest

from appliance.failover.fsm.model import Policy, State
from tests.integration.failover.world import NAMES, TIMERS, World

HOME, STANDBY, _ = NAMES
PAUSED_SECONDS = 40.0


def paused(*, cut: bool) -> World:
    """The home was paused while the standby took its service over, and goes on where it was."""
    world = World(Policy.EXCLUSIVE, 5)
    assert world.run_until(lambda: world.home.writer and world.home.address, 30)
    world.run(10)
    if cut:
        world.fault("cut", HOME)
    world.fault("freeze", HOME)
    before = world.now
    world.run(PAUSED_SECONDS)
    assert world.hosts[STANDBY].standing.state is State.ACTIVE
    world.home.booted += world.now - before  # its clock goes on from where it stood
    world.heal("freeze", HOME)
    return world


@pytest.mark.parametrize(("cut", "seconds"), [(False, TIMERS.renew + TIMERS.request), (True, TIMERS.ttl)])
def test_a_writer_whose_clock_stood_still_ends_within_a_lease_and_nothing_that_it_took_is_lost_or_stored(
    cut: bool, seconds: float
) -> None:
    """With its line up its next renewal ends it, else its own deadline: record 50 says so, and the doctor warns."""
    world = paused(cut=cut)
    assert world.home.writer, "by its own clock its lease goes on"
    assert world.run_until(lambda: not world.home.writer, seconds)
    assert world.hosts[STANDBY].writer
    broken = {it.name for it in world.finish().findings if it.verdict == "violated"}
    assert broken <= {"F1", "F5", "F12"}, (
        "two wrote at once for a while, and all of it is in the history or in a branch"
    )
