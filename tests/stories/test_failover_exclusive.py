"""A service with one writer survives the loss of its node, of its voters and of everything, between plain processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.backup.vault.replicas import replica_of
from appliance_lab.processes.failover import FailoverWorld
from appliance_lab.processes.faults import heal, inject
from appliance_lab.processes.run import save
from appliance_lab.story import require
from tests.stories.conftest import Saw
from tests.stories.failover_worlds import LEASE_SECONDS, ORIGIN, SERVICE, STANDBY, ZONE, begin, failover_of, judge, move

pytestmark = [pytest.mark.steps, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FailoverWorld]:
    with failover_of(tmp_path_factory.mktemp("failover"), "exclusive") as world:
        yield world


def test_a_majority_of_three_voters_knows_who_holds_an_exclusive_service(world: FailoverWorld, saw: Saw) -> None:
    saw(begin(world))


def test_its_node_dies_and_the_standby_goes_on_under_an_epoch_that_voters_sign(world: FailoverWorld, saw: Saw) -> None:
    world.add(90)
    inject(world, "kill", ORIGIN)
    seconds = world.wait_for(STANDBY, "ACTIVE")
    require(world.add(100) == STANDBY, f"a client is not served at {STANDBY}.")
    shown = world.read()
    require(shown["numbers"] == [0, 1, 2, 3, 4, 100], f"other writes are found: {shown['numbers']}.")
    epochs = replica_of(world.territory.open("commune-b"), SERVICE).epochs()
    require(shown["epoch"] in epochs, "the blind peer does not know the new epoch.")
    saw(f"served again after {seconds:.1f} s at a lease of {LEASE_SECONDS} s, under epoch {shown['epoch']}")


def test_it_comes_back_with_writes_of_its_own_and_gets_its_service_back(world: FailoverWorld, saw: Saw) -> None:
    heal(world, "kill", ORIGIN)
    branch = world.node(ORIGIN).layout.service(SERVICE).root / "branches/2"
    world.wait(branch.exists, "what only the dead had is kept")
    kept = next(branch.rglob("numbers")).read_text().split()
    require("90" in kept, "the write that was in no backup is gone.")
    world.wait_for(ORIGIN, "STANDBY")
    move(world, "move", SERVICE, ORIGIN)
    world.wait_for(ORIGIN, "ACTIVE")
    require(world.add(101) == ORIGIN, f"a client is not served at {ORIGIN}.")
    require({100, 101} <= set(world.read()["numbers"]), "what was written elsewhere did not come back.")
    saw(f"{len(kept)} numbers are kept in branches/2, and {ORIGIN} serves under epoch {world.read()['epoch']}")


def test_its_program_hangs_and_the_watchdog_stops_the_service_in_time(world: FailoverWorld, saw: Saw) -> None:
    save(world, ORIGIN)
    inject(world, "hang", ORIGIN)
    seconds = world.wait(lambda: world.program(ORIGIN).running() is None, "the watchdog ends the service")
    require(world.state(STANDBY) != "ACTIVE", "two could write at once.")
    world.wait_for(STANDBY, "ACTIVE")
    heal(world, "hang", ORIGIN)
    world.wait_for(ORIGIN, "STANDBY")
    move(world, "move", SERVICE, ORIGIN)
    world.wait_for(ORIGIN, "ACTIVE")
    saw(f"it was ended after {seconds:.1f} s, before anybody else could hold the lease")


def test_the_voters_lose_their_majority_and_nothing_is_moved_for_it(world: FailoverWorld, saw: Saw) -> None:
    epoch = world.read()["epoch"]
    inject(world, "quorum", "voters")
    world.wait_for(ORIGIN, "RO_ISOLATED")
    require(world.add(102) == "", "something was acknowledged without a proof.")
    heal(world, "quorum", "voters")
    world.wait_for(ORIGIN, "ACTIVE")
    require(world.read()["epoch"] == epoch, "the epoch is another one.")
    saw(f"it stopped in time and went on under epoch {epoch}")


def test_a_zone_is_evacuated_without_a_lost_write(world: FailoverWorld, saw: Saw) -> None:
    move(world, "evacuate", ZONE)
    require(world.add(103) == STANDBY, f"a client is not served at {STANDBY}.")
    require(sorted(world.added) == sorted({*world.read()["numbers"], 90}), "a planned move lost something.")
    move(world, "move", SERVICE, ORIGIN)
    world.wait_for(ORIGIN, "ACTIVE")
    saw(f"{ORIGIN} was left for {STANDBY} and taken again, with every write that was acknowledged")


def test_everything_goes_off_and_on_again_in_another_order(world: FailoverWorld, saw: Saw) -> None:
    save(world, ORIGIN)
    names = tuple(world.territory.nodes)
    order = " ".join(reversed(names))
    inject(world, "everything", order)
    heal(world, "everything", order)
    world.wait_for(ORIGIN, "ACTIVE")
    require(world.add(104) == ORIGIN, f"a client is not served at {ORIGIN}.")
    saw(f"{len(names)} nodes with their voters are back, and {ORIGIN} serves")


def test_the_checker_finds_no_second_writer_and_nothing_lost(world: FailoverWorld, saw: Saw) -> None:
    saw(judge(world))
