"""A holder, or the one broker that it reaches, has not one free byte: the lease is renewed, and nobody else gets it."""

from __future__ import annotations

import math

import pytest

from appliance.programs import watchdog
from appliance.units import MIB
from appliance_lab.processes.failover import FailoverWorld
from tests.integration.failover.conftest import DISTURBED_LEASE_SECONDS, SERVICE, Begin, violated
from tests.integration.small_disk import free_bytes, on_small_disk

pytestmark = pytest.mark.root

HOLDER, STANDBY, BROKER, OTHER = "commune-a", "hermitage", "commune-b", "commune-c"
BROKER_BYTES = 64 * MIB
LEASE_SECONDS = 2 * DISTURBED_LEASE_SECONDS
"""Longer than what a busy machine is late."""


def deadline(world: FailoverWorld) -> float:
    """When the watchdog ends what the holder serves, by the last renewal that was proven."""
    watch = watchdog.read((world.node(HOLDER).layout.failover / f"{SERVICE}.watch").read_text())
    assert watch is not None
    assert math.isfinite(watch.deadline)
    return watch.deadline


def assert_it_goes_on(world: FailoverWorld) -> None:
    """For longer than a lease lasts that is not renewed, at the same node."""
    begun = deadline(world)
    world.wait(lambda: deadline(world) > begun + LEASE_SECONDS, "the lease is renewed")
    assert world.read()["node"] == HOLDER


def test_a_holder_whose_disk_is_full_keeps_its_lease_and_serves(begin: Begin) -> None:
    """The durable state of the service is there; on a host the watchdog's file is in memory."""
    world = begin("exclusive", disturbed=True, lease_seconds=LEASE_SECONDS)
    if not world.disks:
        pytest.skip("nobody may mount here")
    world.disks[HOLDER].fill()
    assert_it_goes_on(world)
    assert world.state(STANDBY) == "STANDBY"
    world.disks[HOLDER].empty()
    assert world.add(3) == HOLDER
    assert violated(world) == {}


def test_a_broker_whose_disk_is_full_lets_renewals_through_and_its_node_is_trusted_again_with_room(
    begin: Begin,
) -> None:
    """It is the only one that the holder reaches: the etcds run on."""
    world = begin("exclusive", lease_seconds=LEASE_SECONDS)
    world.end(BROKER)
    with on_small_disk(world.node(BROKER).layout.root, BROKER_BYTES) as disk:
        world.start(BROKER)
        disk.fill()
        assert free_bytes(disk.place) == 0
        world.end(OTHER)
        world.kill(STANDBY)
        assert_it_goes_on(world)
        disk.empty()
        world.start(STANDBY)
        world.start(OTHER)
        world.wait_for(STANDBY, "STANDBY")
        world.kill(HOLDER)
        world.wait_for(STANDBY, "ACTIVE")
        assert violated(world) == {}
        world.end(BROKER)
