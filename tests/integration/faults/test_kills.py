"""kill -9 of a backup, of borg and of sshd at every step: the next run heals, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.backup import writer
from appliance.borg.client import Borg
from appliance.borg.locks import holders, is_locked
from appliance.errors import Unreachable
from appliance.lab.processes.node import code_folder
from appliance.lab.story import waiting
from appliance.units import MIB
from tests.integration.faults.ground import BLIND, BORG, CUT, SERVICE, STANDBY, Ground, put_borg
from tests.integration.faults.relay import relayed

KILLED = -signal.SIGKILL
SAMPLE = 6
"""Steps of each sweep in the daily run; the soak takes them all."""


def points(steps: int, seed: int, soak_runs: int | None) -> list[int]:
    """The steps to be cut at: in a soak every one, else the day's sample."""
    every = range(1, steps + 1)
    return list(every) if soak_runs else sorted(random.Random(seed).sample(every, min(SAMPLE, steps)))


@pytest.fixture
def use_borg(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """Have the next borgs end at their disk call number `last`; returns where they write how many they made."""
    path = os.environ["PATH"]

    def put(last: int) -> Path:
        count = ground.work / "borg-count"
        words = shlex.join((sys.executable, str(CUT), str(last), str(count), "borg", BORG))
        folder = put_borg(ground.work, f'#!/bin/sh\nexec {words} "$@"\n')
        monkeypatch.setenv("PATH", f"{folder}:{path}")
        return count

    return put


def sweep_backup(ground: Ground, seed: int, soak_runs: int | None) -> None:
    ground.change()
    _, steps = ground.cut_backup(0)
    assert steps > 30
    for last in points(steps, seed, soak_runs):
        ground.change()
        result, _ = ground.cut_backup(last)
        assert result.exit_code in (0, KILLED), result.tail()
        ground.assert_healed()
    ground.assert_nothing_lost(extract=2)


def sweep_borg(ground: Ground, seed: int, soak_runs: int | None, use_borg: Callable[[int], Path]) -> None:
    count = use_borg(0)
    ground.save()
    steps = int(count.read_text())
    assert steps > 30
    for last in points(steps, seed, soak_runs):
        ground.change()
        use_borg(last)
        with pytest.raises(Exception, match="borg was killed by signal 9"):
            writer.run(ground.node(), SERVICE)
        use_borg(0)
        ground.assert_healed()
    ground.assert_nothing_lost(extract=2)


def test_a_backup_killed_at_a_step_is_healed_by_the_next(ground: Ground, seed: int) -> None:
    sweep_backup(ground, seed, None)


def test_a_borg_killed_at_a_step_fails_the_run_and_is_healed_by_the_next(
    ground: Ground, seed: int, use_borg: Callable[[int], Path]
) -> None:
    sweep_borg(ground, seed, None, use_borg)


@pytest.mark.slow
def test_every_step_of_a_backup_in_kills(ground: Ground, seed: int) -> None:
    sweep_backup(ground, seed, 1)


@pytest.mark.slow
def test_every_step_of_borg_in_kills(ground: Ground, seed: int, use_borg: Callable[[int], Path]) -> None:
    sweep_borg(ground, seed, 1, use_borg)


def test_adopting_a_generation_is_cut_safely_at_every_step(ground: Ground, seed: int) -> None:
    """The counters hang on it: never a repository that could be written below its floor."""
    ground.fetch_to_continue()
    _, steps = ground.cut_adoption(0)
    assert steps > 15
    for last in points(steps, seed, None):
        ground.assert_healed()
        ground.fetch_to_continue()
        result, _ = ground.cut_adoption(last)
        assert result.exit_code in (0, KILLED), result.tail()
        ground.assert_counters_safe()
        ground.adopt()
    ground.assert_healed()
    ground.assert_nothing_lost()


def test_a_borg_that_outlived_its_run_is_waited_for(ground: Ground) -> None:
    """The run was killed and its borg was not: the next one disturbs neither what borg reads nor what it writes."""
    ground.change(random_bytes=60 * MIB)
    repository = writer.own_repository(ground.layout())
    words = (sys.executable, str(CUT), "0", str(ground.work / "count"), "backup", str(ground.node().layout.root))
    with subprocess.Popen((*words, SERVICE), env={**os.environ, "PYTHONPATH": str(code_folder())}) as killed:
        with waiting("borg's lock", 30) as done:
            while not done(is_locked(repository)):
                pass
        killed.kill()
    assert [state for _, state in holders(repository)] == ["alive"], "borg ended before it could be orphaned"
    ground.assert_healed()
    assert len(Borg(repository).archives()) == 3, "what the orphan saved is kept too"
    ground.assert_nothing_lost()


@pytest.mark.parametrize("after_bytes", [3_000, 200_000, 1_500_000])
def test_an_sshd_killed_in_a_push_fails_that_peer_only(ground: Ground, after_bytes: int) -> None:
    """The listener and the session die while the line stands still; the others are safe, and the next push goes on."""
    ground.change(random_bytes=2 * MIB)
    with relayed(ground.territory, BLIND) as relay, ThreadPoolExecutor(1) as background:
        relay.up.stall_after = after_bytes
        running = background.submit(writer.run, ground.node(), SERVICE)
        with waiting("the push to stand still", 30) as done:
            while not done(relay.up.carried >= after_bytes):
                pass
        ground.territory.nodes[BLIND].kill()
        relay.heal()
        failed = {outcome.peer: outcome.error for outcome in running.result(30).pushed}
        assert failed[STANDBY] is None
        assert isinstance(failed[BLIND], Unreachable), failed[BLIND]
        ground.territory.nodes[BLIND].start_sshd()
        ground.assert_healed()
    ground.assert_nothing_lost()
