"""kill -9 of a backup, a tidying, borg and sshd at every step: the next run heals, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.backup.writer import writer
from appliance.borg.client import Borg
from appliance.borg.locks import holders, is_locked
from appliance.borg.segments import committed
from appliance.errors import Unreachable
from appliance.units import MIB
from appliance_lab.checkout import code_folder
from appliance_lab.story import waiting
from tests.integration.faults.relay import relayed
from tests.integration.faults.world import (
    BLIND,
    CUT,
    MAP_BYTES,
    SERVICE,
    STANDBY,
    FaultWorld,
    calls_of_borg,
    put_cut_borg,
)

KILLED = -signal.SIGKILL
SAMPLE = 4
"""Steps of each sweep in the daily run; the soak takes them all."""
STEPS_OF_TIDYING = {"": 3, "delete": 60, "compact": 35}
"""As many as our own process, and each borg that it starts, has at least: the daily run draws one of each."""


def points(steps: int, seed: int, soak_runs: int | None) -> list[int]:
    """The steps to be cut at: in a soak every one, else the day's sample."""
    every = range(1, steps + 1)
    return list(every) if soak_runs else sorted(random.Random(seed).sample(every, min(SAMPLE, steps)))


UseBorg = Callable[..., Path]


@pytest.fixture
def use_borg(world: FaultWorld, monkeypatch: pytest.MonkeyPatch) -> UseBorg:
    """Have the next borgs, or those with this `verb` only, end at their disk call number `last`; returns where they
    write how many they made."""
    path = os.environ["PATH"]

    def put(last: int, verb: str = "") -> Path:
        folder, count = put_cut_borg(world.work, last, verb)
        monkeypatch.setenv("PATH", f"{folder}:{path}")
        return count

    return put


def sweep_backup(world: FaultWorld, seed: int, soak_runs: int | None) -> None:
    world.change()
    _, steps = world.cut_backup(0)
    assert steps > 30
    for last in points(steps, seed, soak_runs):
        world.change()
        result, _ = world.cut_backup(last)
        assert result.exit_code in (0, KILLED), result.tail()
        world.assert_healed()
    world.assert_nothing_lost(extract=2)


def sweep_borg(world: FaultWorld, seed: int, soak_runs: int | None, use_borg: UseBorg) -> None:
    count = use_borg(0)
    world.save()
    steps = calls_of_borg(count)
    assert steps > 30
    for last in points(steps, seed, soak_runs):
        world.change()
        use_borg(last)
        with pytest.raises(Exception, match="borg was killed by signal 9"):
            writer.run(world.node(), SERVICE)
        use_borg(0)
        world.assert_healed()
    world.assert_nothing_lost(extract=2)


@pytest.fixture
def tidying(world: FaultWorld, use_borg: UseBorg) -> Callable[[str, int], int]:
    """Tidy what has an archive to forget and waste to give back: our own process, or the borg that it starts with this
    verb, is killed at a step, at none when it is 0. The next backup heals; how many steps there were."""
    world.keep_little()

    def tidy(verb: str, last: int) -> int:
        count = use_borg(last, verb) if verb else None
        result, steps = world.cut_tidy(0 if verb else last)
        if count and not last:
            steps = calls_of_borg(count)
        use_borg(0)
        if last:
            assert result.exit_code == KILLED or b"borg was killed by signal 9" in result.stderr, result.tail()
        world.replace_map()
        world.change()
        world.assert_healed()
        return steps

    world.replace_map()
    world.assert_healed()
    return tidy


def assert_tidy(world: FaultWorld) -> None:
    """A tidying that nobody kills forgets all but the newest, and what only the others needed takes no room."""
    writer.prune(world.node(), SERVICE)
    own = writer.own_repository(world.layout())
    assert [archive.name for archive in Borg(own).archives()] == [world.acknowledged[-1].archive]
    assert sum(path.stat().st_size for path in committed(own.path).segments) < 2 * MAP_BYTES
    world.assert_healed()
    world.assert_nothing_lost(extract=2)


def test_a_backup_killed_at_a_step_is_healed_by_the_next(world: FaultWorld, seed: int) -> None:
    sweep_backup(world, seed, None)


def test_a_borg_killed_at_a_step_fails_the_run_and_is_healed_by_the_next(
    world: FaultWorld, seed: int, use_borg: UseBorg
) -> None:
    sweep_borg(world, seed, None, use_borg)


@pytest.mark.slow
def test_every_step_of_a_backup_in_kills(world: FaultWorld, seed: int) -> None:
    sweep_backup(world, seed, 1)


@pytest.mark.slow
def test_every_step_of_borg_in_kills(world: FaultWorld, seed: int, use_borg: UseBorg) -> None:
    sweep_borg(world, seed, 1, use_borg)


def test_a_tidying_killed_at_a_step_is_healed_by_the_next_backup(
    world: FaultWorld, seed: int, tidying: Callable[[str, int], int]
) -> None:
    draw = random.Random(seed)
    for verb, steps in STEPS_OF_TIDYING.items():
        tidying(verb, draw.randint(1, steps))
    assert_tidy(world)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("verb", STEPS_OF_TIDYING, ids=lambda verb: verb or "ours")
def test_every_step_of_tidying_in_kills(world: FaultWorld, verb: str, tidying: Callable[[str, int], int]) -> None:
    steps = tidying(verb, 0)
    print(f"{steps} steps")
    assert steps >= STEPS_OF_TIDYING[verb]
    for last in range(1, steps + 1):
        tidying(verb, last)
    assert_tidy(world)


def test_adopting_a_generation_is_cut_safely_at_every_step(world: FaultWorld, seed: int) -> None:
    """The counters hang on it: never a repository that could be written below its floor."""
    world.fetch_to_continue()
    _, steps = world.cut_adoption(0)
    assert steps > 15
    for last in points(steps, seed, None):
        world.assert_healed()
        world.fetch_to_continue()
        result, _ = world.cut_adoption(last)
        assert result.exit_code in (0, KILLED), result.tail()
        world.assert_counters_safe()
        world.adopt()
    world.assert_healed()
    world.assert_nothing_lost()


def test_a_borg_that_outlived_its_run_is_waited_for(world: FaultWorld) -> None:
    """The run was killed and its borg was not: the next one disturbs neither what borg reads nor what it writes."""
    world.change(random_bytes=60 * MIB)
    repository = writer.own_repository(world.layout())
    words = (sys.executable, str(CUT), "0", str(world.work / "count"), "backup", str(world.node().layout.root))
    with subprocess.Popen((*words, SERVICE), env={**os.environ, "PYTHONPATH": str(code_folder())}) as killed:
        with waiting("borg's lock", 30) as done:
            while not done(is_locked(repository.path)):
                pass
        killed.kill()
    assert [state for _, state in holders(repository)] == ["alive"], "borg ended before it could be orphaned"
    world.assert_healed()
    assert len(Borg(repository).archives()) == 3, "what the orphan saved is kept too"
    world.assert_nothing_lost()


@pytest.mark.parametrize("after_bytes", [3_000, 200_000, 1_500_000])
def test_an_sshd_killed_in_a_push_fails_that_peer_only(world: FaultWorld, after_bytes: int) -> None:
    """The listener and the session die while the line stands still; the others are safe, and the next push goes on."""
    world.change(random_bytes=2 * MIB)
    with relayed(world.territory, BLIND) as relay, ThreadPoolExecutor(1) as background:
        relay.up.stall_after = after_bytes
        running = background.submit(writer.run, world.node(), SERVICE)
        with waiting("the push to stand still", 30) as done:
            while not done(relay.up.carried >= after_bytes):
                pass
        world.territory.nodes[BLIND].kill()
        relay.heal()
        failed = {outcome.peer: outcome.error for outcome in running.result(30).pushed}
        assert failed[STANDBY] is None
        assert isinstance(failed[BLIND], Unreachable), failed[BLIND]
        world.territory.nodes[BLIND].start_sshd()
        world.assert_healed()
    world.assert_nothing_lost()
