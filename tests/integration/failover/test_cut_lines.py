"""Lines between nodes are cut: packets vanish, nobody is told. It needs root, for a network namespace for each node."""

from __future__ import annotations

import itertools
import time

import pytest

from appliance_lab.processes.failover import FailoverWorld
from appliance_lab.processes.faults import heal, inject
from tests.integration.failover.conftest import SERVICE, Begin, violated

pytestmark = pytest.mark.root
SLOW = pytest.mark.slow
HOME, STANDBY = "commune-a", "hermitage"


@pytest.mark.parametrize("kind", ["cut-in", pytest.param("cut", marks=SLOW), pytest.param("cut-out", marks=SLOW)])
def test_a_holder_that_is_cut_off_stops_before_another_begins(begin: Begin, kind: str) -> None:
    """One way is enough: whose answers are lost proves nothing, whose questions are lost renews nothing."""
    world = begin("exclusive", disturbed=True)
    inject(world, kind, HOME)
    world.wait(lambda: world.program(HOME).running() is None, "it stops by itself")
    assert world.program(STANDBY).running() is None, "before anybody else could begin"
    world.wait_for(STANDBY, "ACTIVE")
    assert world.add(100) == STANDBY
    heal(world, kind, HOME)
    world.wait_for(HOME, "STANDBY")
    assert world.add(101) == STANDBY
    assert violated(world) == {}


@SLOW
def test_a_line_that_is_cut_between_holder_and_standby_alone_moves_nothing(begin: Begin) -> None:
    """Two of three voters still answer each of them."""
    world = begin("exclusive", disturbed=True)
    inject(world, "line", f"{HOME} {STANDBY}")
    epoch = world.told(HOME)["epoch"]
    for number in range(20):
        world.wait(lambda number=number: world.add(100 + number) == HOME, "it is served")  # type: ignore[misc]
    heal(world, "line", f"{HOME} {STANDBY}")
    assert world.told(STANDBY)["newest_epoch"] == epoch
    assert violated(world) == {}


@SLOW
@pytest.mark.parametrize("kind", ["loss", "delay"])
def test_a_holder_behind_a_bad_line_goes_on_and_nobody_takes_over(begin: Begin, kind: str) -> None:
    """For three leases. Of the packets each way a fifth is lost: two tries in a lease would be enough, and there are
    five. Or they come 0.3 s later: a round trip for each of a TLS session that has to begin, and for the question."""
    world = begin("exclusive", disturbed=True)
    epoch = world.told(HOME)["epoch"]
    inject(world, kind, HOME)
    lossy = time.monotonic() + 3 * world.territory.territory.lease_seconds
    for number in itertools.count(100):
        world.wait(lambda number=number: world.add(number) == HOME, "it is served")  # type: ignore[misc]
        if time.monotonic() > lossy:
            break
    heal(world, kind, HOME)
    assert world.told(STANDBY)["newest_epoch"] == epoch
    assert violated(world) == {}


def test_a_town_hall_that_is_cut_off_works_on_and_learns_of_a_promotion_when_the_line_is_back(begin: Begin) -> None:
    world = begin("local-first", disturbed=True)
    inject(world, "cut", HOME)
    world.wait_for(HOME, "ISOLATED_RW")
    world.wait_for(STANDBY, "RO_SERVE")
    assert world.add(70) == HOME, "its own PCs notice nothing"
    world.tell("operator", 0, "proof-of-death", of=HOME, kind="act")
    act = world.sign("promote", STANDBY, SERVICE)
    world.node(STANDBY).cli("failover", "promote", SERVICE, "--act", str(act))
    world.wait_for(STANDBY, "ACTIVE")
    assert _add_at(world, STANDBY, 71)
    assert world.add(72) == HOME, "a person accepted two histories"
    heal(world, "cut", HOME)
    branch = world.node(HOME).layout.service(SERVICE).root / "branches/2"
    world.wait(branch.exists, "what the home wrote alone is kept")
    world.wait_for(HOME, "STANDBY")
    assert {"70", "72"} <= set(next(branch.rglob("numbers")).read_text().split())
    assert violated(world) == {}


def _add_at(world: FailoverWorld, name: str, number: int) -> bool:
    """Whether a client at the site of `name` is served there."""
    answer = world.ask(name, world.ports[name][0], f"/{number}", post=True)
    return answer is not None and answer["node"] == name
