"""A town hall's own service goes on without voters; only a person promotes it elsewhere; between plain processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance_lab.processes.failover import FailoverWorld
from appliance_lab.processes.faults import heal, inject
from appliance_lab.story import require
from tests.stories.conftest import Saw
from tests.stories.failover_worlds import ORIGIN, SERVICE, STANDBY, begin, failover_of, judge

pytestmark = [pytest.mark.steps, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FailoverWorld]:
    with failover_of(tmp_path_factory.mktemp("failover"), "local-first") as world:
        yield world


def test_the_service_of_a_town_hall_is_served_at_home(world: FailoverWorld, saw: Saw) -> None:
    saw(begin(world))


def test_without_voters_it_goes_on_and_a_dated_copy_is_served_once_it_is_dead(world: FailoverWorld, saw: Saw) -> None:
    inject(world, "quorum", "voters")
    world.wait_for(ORIGIN, "ISOLATED_RW")
    require(world.add(50) == ORIGIN, "the town hall cannot work without voters.")
    heal(world, "quorum", "voters")
    world.wait_for(ORIGIN, "ACTIVE")
    inject(world, "kill", ORIGIN)
    world.wait_for(STANDBY, "RO_SERVE")
    world.wait(lambda: world.read_copy(STANDBY), "the copy is served")
    copy = world.read_copy(STANDBY) or {}
    require(copy.get("copy") is True and copy["numbers"] == [0, 1, 2, 3, 4], "the copy is not the last saved one.")
    require(world.add(51) == "", "somebody writes although nobody is known to be dead.")
    heal(world, "kill", ORIGIN)
    world.wait_for(ORIGIN, "ACTIVE")
    saw(f"{ORIGIN} worked alone; dead, it was served for reading at {STANDBY}, and came back by itself")


def test_a_person_promotes_the_standby_and_what_the_home_wrote_alone_is_kept(world: FailoverWorld, saw: Saw) -> None:
    inject(world, "hang", ORIGIN)
    refused = world.node(STANDBY).cli("failover", "promote", SERVICE, check=False)
    require(refused.exit_code == 8, "the living was replaced without an act.")
    act = world.sign("promote", STANDBY, SERVICE)
    world.tell("operator", 0, "proof-of-death", of=ORIGIN, kind="act")
    world.node(STANDBY).cli("failover", "promote", SERVICE, "--act", str(act))
    require(world.add(70) == ORIGIN, f"{ORIGIN} does not go on alone.")
    world.wait(lambda: world.program(STANDBY).running(), f"{STANDBY} serves")
    heal(world, "hang", ORIGIN)
    world.wait_for(ORIGIN, "STANDBY")
    branch = world.node(ORIGIN).layout.service(SERVICE).root / "branches/2"
    require("70" in next(branch.rglob("numbers")).read_text().split(), "what the home wrote alone is gone.")
    require(world.add(71) == STANDBY, f"a client is not served at {STANDBY}.")
    saw("without an act it was refused; with it the standby writes, and the home's own writes are in branches/2")


def test_the_checker_finds_no_second_writer_beside_the_one_a_person_accepted(world: FailoverWorld, saw: Saw) -> None:
    saw(judge(world))
