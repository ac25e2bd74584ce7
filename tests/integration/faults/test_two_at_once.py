"""Two runs of one service, two pushes, two agents of one node: one works, the other says so and harms nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from appliance.backup.writer import writer
from appliance.errors import Busy
from appliance.host.files import locked
from appliance.units import MIB
from appliance_lab.story import waiting
from tests.integration.faults.world import ORIGIN, SERVICE, FaultWorld


def test_a_second_run_says_that_the_first_one_is_on(world: FaultWorld) -> None:
    world.change(random_bytes=40 * MIB)
    with ThreadPoolExecutor(1) as background:
        first = background.submit(writer.run, world.node(), SERVICE)
        with waiting("the first run", 30) as done:
            while not done((world.layout().repository / "lock.exclusive").exists()):
                pass
        second = world.territory.nodes[ORIGIN].cli("backup", "run", SERVICE, check=False)
        assert first.result(60).safety.safe
    assert second.exit_code == Busy.exit_code
    assert second.tail() == (
        f"appliance: the service {SERVICE} is in use by another process. Try again when it has ended."
    )
    world.assert_healed()
    world.assert_nothing_lost()


def test_runs_started_together_make_one_chain(world: FaultWorld) -> None:
    """A run that finds the service taken gives up; a run that pushes meanwhile pushes the newest there is."""
    node = world.territory.nodes[ORIGIN]
    for _ in range(2):
        world.change()
        with ThreadPoolExecutor(3) as pool:
            words = (("backup", "run", SERVICE), ("backup", "run", SERVICE), ("backup", "push", SERVICE))
            codes = [result.exit_code for result in pool.map(lambda each: node.cli(*each, check=False), words)]
        # 1: another push has the peer's vault, so that this one is not safe yet.
        assert set(codes) <= {0, 1, Busy.exit_code}
        world.assert_healed()
    world.assert_nothing_lost()


@pytest.mark.parametrize("verb", ["tidy", "mend"])
def test_no_other_verb_touches_a_service_in_a_run(world: FaultWorld, verb: str) -> None:
    with locked(world.layout().lock, what="the test"):
        refused = world.territory.nodes[ORIGIN].cli("backup", verb, SERVICE, check=False)
    assert refused.exit_code == Busy.exit_code
    assert f"the service {SERVICE} is in use by another process" in refused.tail()


def test_a_second_agent_of_a_node_says_that_there_is_one(world: FaultWorld) -> None:
    node = world.territory.nodes[ORIGIN]
    node.start_agent()
    with waiting("the agent", 20) as done:
        while not done((node.layout.run / "agent.lock").exists()):
            pass
    second = node.cli("internal", "agent", timeout_seconds=20, check=False)
    assert second.exit_code == Busy.exit_code
    assert f"an agent of {ORIGIN} is already running" in second.tail()
