"""A holder, or the one broker that it reaches, has not one free byte: the lease is renewed, and nobody else gets it."""

from __future__ import annotations

import math

import pytest

from appliance.programs import watchdog
from appliance.units import MIB
from appliance_lab.processes.failover import Stage
from tests.integration.failover.conftest import DISTURBED_LEASE_SECONDS, SERVICE, Begin, violated
from tests.integration.small_disk import free_bytes, on_small_disk

pytestmark = pytest.mark.root

HOLDER, STANDBY, BROKER, OTHER = "commune-a", "hermitage", "commune-b", "commune-c"
BROKER_BYTES = 64 * MIB
LEASE_SECONDS = 2 * DISTURBED_LEASE_SECONDS
"""Longer than what a busy machine is late."""


def deadline(stage: Stage) -> float:
    """When the watchdog ends what the holder serves, by the last renewal that was proven."""
    watch = watchdog.read((stage.node(HOLDER).layout.failover / f"{SERVICE}.watch").read_text())
    assert watch is not None
    assert math.isfinite(watch.deadline)
    return watch.deadline


def assert_it_goes_on(stage: Stage) -> None:
    """For longer than a lease lasts that is not renewed, at the same node."""
    begun = deadline(stage)
    stage.wait(lambda: deadline(stage) > begun + LEASE_SECONDS, "the lease is renewed")
    assert stage.read()["node"] == HOLDER


def test_a_holder_whose_disk_is_full_keeps_its_lease_and_serves(begin: Begin) -> None:
    """What failover keeps of the service lies there; on a host what tells the watchdog is in memory."""
    stage = begin("exclusive", disturbed=True, lease_seconds=LEASE_SECONDS)
    if not stage.disks:
        pytest.skip("nobody may mount here")
    stage.disks[HOLDER].fill()
    assert_it_goes_on(stage)
    assert stage.state(STANDBY) == "STANDBY"
    stage.disks[HOLDER].empty()
    assert stage.add(3) == HOLDER
    assert violated(stage) == {}


def test_a_broker_whose_disk_is_full_lets_renewals_through_and_its_node_is_trusted_again_with_room(
    begin: Begin,
) -> None:
    """It is the only one that the holder reaches: the etcds run on."""
    stage = begin("exclusive", lease_seconds=LEASE_SECONDS)
    stage.end(BROKER)
    with on_small_disk(stage.node(BROKER).layout.root, BROKER_BYTES) as disk:
        stage.start(BROKER)
        disk.fill()
        assert free_bytes(disk.place) == 0
        stage.end(OTHER)
        stage.kill(STANDBY)
        assert_it_goes_on(stage)
        disk.empty()
        stage.start(STANDBY)
        stage.start(OTHER)
        stage.wait_for(STANDBY, "STANDBY")
        stage.kill(HOLDER)
        stage.wait_for(STANDBY, "ACTIVE")
        assert violated(stage) == {}
        stage.end(BROKER)
