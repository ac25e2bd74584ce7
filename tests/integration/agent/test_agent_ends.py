"""How an agent ends: killed in the middle of a backup, told to stop, told twice, refused because one runs already."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from appliance.backup.chain.chain import chain_of
from appliance_lab.demo.whole import prove_whole
from appliance_lab.processes.node import ProcessNode
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.agent.watch import SERVICE, agent_of, is_safe, kill_agent, processes, status, stop_borg
from tests.integration.faults.world import HOLDERS, FaultWorld
from tests.waiting import wait_until

ROUNDS, ROUNDS_OF_A_SOAK = 4, 60


@pytest.fixture
def origin(territory: ProcessTerritory) -> ProcessNode:
    return territory.nodes["commune-a"]


# The command line with an agent that waits longer: what is short work at rest is not on a busy machine.
PATIENT = (
    sys.executable,
    "-c",
    "from appliance.agent import service; service.GRACE_SECONDS = 60.0; from appliance.cli.main import main; main()",
)


def events(node: ProcessNode, name: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in node.layout.journal.read_text().splitlines()]
    return [line for line in lines if line["event"] == name]


def ended(node: ProcessNode, kind: str) -> list[dict[str, object]]:
    return [event for event in events(node, "work-ended") if event["kind"] == kind]


def test_kill_9_in_mid_backup_leaves_no_borg_and_the_next_agent_heals(
    territory: ProcessTerritory, origin: ProcessNode
) -> None:
    origin.start_agent()
    stop_borg(origin)
    kill_agent(origin)
    wait_until(lambda: not processes(origin), "nothing of this node runs")
    assert "AGENT NOT RUNNING" in status(origin)[2]
    origin.start_agent()
    wait_until(lambda: is_safe(territory), "docs-a is safe")
    assert status(origin)[0] == 0


@pytest.fixture
def world(territory: ProcessTerritory, documents: Path, tmp_path: Path) -> FaultWorld:
    """`territory` before its first backup."""
    return FaultWorld(territory, documents, tmp_path / "work")


def kill_at_moments(world: FaultWorld, origin: ProcessNode, draw: random.Random, rounds: int) -> None:
    """Kill the agent again and again, some time after its start or after the backup that is due has begun."""
    for number in range(rounds):
        world.change()
        world.make_due()
        begun = len(events(origin, "work-begun")) if number else 0
        origin.start_agent()
        if number % 2:
            wait_until(lambda begun=begun: len(events(origin, "work-begun")) > begun, "what is due has begun")
            time.sleep(draw.uniform(0, 1.2))  # the fault itself: no state is waited for
        else:
            time.sleep(draw.uniform(0.2, 2.2))
        kill_agent(origin)
        wait_until(lambda: not processes(origin), "nothing of this node runs")


def assert_kept_what_was_acknowledged(world: FaultWorld) -> None:
    """Every generation is whole wherever a receipt was signed for it, and no counter was used twice."""
    origin = world.node()
    chain = chain_of(origin, SERVICE)
    for holder in HOLDERS:
        ids = [chain.header(name).id for name in chain.names()]
        acknowledged = [
            it.name for it in ids if holder in {by.holder for by in chain.receipts(it, origin.bundle.signing_keys)}
        ]
        prove_whole(world.node(holder), SERVICE, tuple(acknowledged))
        assert ids[-1].name in acknowledged
    world.assert_no_counter_twice()


def survive_kills(world: FaultWorld, seed: int, rounds: int) -> None:
    territory, origin = world.territory, world.territory.nodes["commune-a"]
    kill_at_moments(world, origin, random.Random(f"agent {seed}"), rounds)
    world.change()
    world.make_due()
    begun = len(ended(origin, "backup"))
    origin.start_agent()
    wait_until(lambda: len(ended(origin, "backup")) > begun and is_safe(territory), "a backup has ended and is safe")
    assert "error" not in ended(origin, "backup")[-1]
    assert_kept_what_was_acknowledged(world)
    assert status(origin)[0] == 0


def test_an_agent_killed_at_any_moment_loses_nothing_and_the_next_heals(world: FaultWorld, seed: int) -> None:
    survive_kills(world, seed, ROUNDS)


@pytest.mark.slow
def test_soak_of_an_agent_killed_at_many_moments(world: FaultWorld, seed: int) -> None:
    survive_kills(world, seed, ROUNDS_OF_A_SOAK)


def test_kill_9_of_a_worker_is_a_failure_that_is_told_and_tried_again(
    territory: ProcessTerritory, origin: ProcessNode
) -> None:
    origin.start_agent()
    borg = stop_borg(origin)
    (worker,) = processes(origin, "appliance.agent.work", "backup")
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: borg not in processes(origin), "its borg has ended with it")
    wait_until(lambda: len(ended(origin, "backup")) == 2, "it was tried again")
    assert ended(origin, "backup")[0]["error"] == "the worker was killed by signal 9."
    assert "error" not in ended(origin, "backup")[1]
    assert is_safe(territory)


def test_a_second_agent_of_one_node_is_refused_with_a_sentence(origin: ProcessNode) -> None:
    origin.start_agent()
    wait_until(lambda: events(origin, "agent-started"), "the first one runs")
    second = origin.cli("internal", "agent", check=False, timeout_seconds=300)
    assert second.exit_code == 4
    assert b"an agent of commune-a is already running." in second.stderr
    assert agent_of(origin).poll() is None
    assert len(events(origin, "agent-started")) == 1


def test_sigterm_lets_short_work_end_and_begins_nothing_more(territory: ProcessTerritory, origin: ProcessNode) -> None:
    origin.start_agent(PATIENT)
    wait_until(lambda: events(origin, "work-begun"), "the backup has begun")
    agent = origin.processes.pop()
    agent.terminate()
    assert agent.wait(30) == 0
    (stopped,) = events(origin, "agent-stopped")
    assert stopped["abandoned"] == []
    assert len(events(origin, "work-ended")) == len(ended(origin, "backup")) == 1
    assert is_safe(territory)
    assert not processes(origin)


def test_a_second_sigterm_cuts_what_is_at_work_and_says_so(territory: ProcessTerritory, origin: ProcessNode) -> None:
    origin.start_agent()
    stop_borg(origin)
    agent = origin.processes.pop()
    log = origin.layout.run / "agent.log"
    agent.terminate()
    wait_until(lambda: "is stopping" in log.read_text(), "it has heard the first one")
    agent.terminate()
    assert agent.wait(30) == 0
    assert not processes(origin)
    assert events(origin, "agent-stopped")[0]["abandoned"] == ["backup docs-a"]
    assert "has stopped and interrupted: backup docs-a." in log.read_text()
    origin.start_agent()
    wait_until(lambda: is_safe(territory), "the next start heals")
