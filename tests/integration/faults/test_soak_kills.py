"""Seeded runs of a fault or two: kill -9 of a backup, of a tidying, of borg, of a whole process group, of an agent, of
sshd, of a vault alone, at a step, a byte or a moment drawn from the seed; then one run that heals, and a look for
anything lost.

CI draws a few from the seed of the day; `make soak SUITE=soak_kills N=200` goes on where it stopped and writes
down what came of it below docs/results.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.cli.internal.agent import EVERY_VARIABLE
from appliance.host.command import descendants
from appliance.units import KIB, MIB
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.processes.node import ProcessNode
from tests.integration.agent.watch import kill_agent, processes
from tests.integration.faults.relay import relayed
from tests.integration.faults.results import Results, runs_wanted
from tests.integration.faults.world import BLIND, ORIGIN, SERVICE, STANDBY, FaultWorld, put_cut_borg, remove_borg
from tests.waiting import wait_until

SAMPLE = 4
STEPS_MAX = 95
"""A little more than a run of ours, or a borg, has: a fault that comes too late is a run like another."""
TIDYING_STEPS_MAX = {"": 4, "delete": 90, "compact": 50}

DAY_SEED = int(os.environ.get("APPLIANCE_TEST_SEED", "1"))
SAMPLED = [f"{DAY_SEED}-{number}" for number in range(SAMPLE)]
SOAKED = [f"{DAY_SEED}-{number}" for number in range(runs_wanted(SAMPLE))]


@dataclass
class Fault:
    """A fault of `world`, with the choices of `draw`; each fault of FAULTS returns what it did in a few words."""

    world: FaultWorld
    draw: random.Random

    def backup(self) -> subprocess.Popen[bytes]:
        """A backup as the command line does it, in a process group of its own."""
        words = (*appliance_argv(), "--state", str(self.world.node().layout.root), "backup", "run", SERVICE)
        environment = {**os.environ, "PYTHONPATH": str(code_folder())}
        return subprocess.Popen(
            words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
        )

    def ours_at_a_step(self) -> str:
        step = self.draw.randrange(1, STEPS_MAX)
        self.world.cut_backup(step)
        return f"backup killed at step {step}"

    def borg_at_a_step(self) -> str:
        step = self.draw.randrange(1, STEPS_MAX)
        put_cut_borg(self.world.work, step)
        self.world.cut_backup(0)
        remove_borg(self.world.work)
        return f"borg killed at step {step}"

    def ours_at_a_moment(self) -> str:
        return self._at_a_moment(lambda process: os.kill(process.pid, signal.SIGKILL), "backup")

    def everything_at_a_moment(self) -> str:
        return self._at_a_moment(lambda process: os.killpg(process.pid, signal.SIGKILL), "backup and all it started")

    def _at_a_moment(self, kill: Callable[[subprocess.Popen[bytes]], None], what: str) -> str:
        seconds = self.draw.uniform(0.2, 2.0)
        with self.backup() as process:
            time.sleep(seconds)  # the fault itself: no state is waited for
            kill(process)
        return f"{what} killed after {seconds:.2f} s"

    def agent_at_a_moment(self) -> str:
        """An agent that has a backup to make; what it started must end with it."""
        seconds = self.draw.uniform(0.2, 2.2)
        node = self.world.territory.nodes[ORIGIN]
        self.world.make_due()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(EVERY_VARIABLE, "0.3")
            node.start_agent()
        time.sleep(seconds)  # the fault itself: no state is waited for
        kill_agent(node)
        wait_until(lambda: not processes(node), "nothing of this node runs")
        wait_until(self.world.is_free, "nothing holds the service: who dies loses its command line before its locks")
        return f"agent killed after {seconds:.2f} s"

    def tidy_at_a_step(self) -> str:
        """Ours, or one of the borgs that it starts, while it forgets what was saved before and frees its room."""
        verb = self.draw.choice(("", "delete", "compact"))
        step = self.draw.randrange(1, TIDYING_STEPS_MAX[verb])
        self.world.keep_little()
        self.world.replace_map()
        self.world.save()
        if verb:
            put_cut_borg(self.world.work, step, verb)
        self.world.cut_tidy(0 if verb else step)
        remove_borg(self.world.work)
        return f"{verb or 'tidying'} killed at step {step}"

    def sshd_at_a_byte(self) -> str:
        """The peer's sshd, with its sessions, in the middle of what comes to it."""
        at = self.draw.randrange(1, 2 * MIB)
        peer = self._stalled(at, lambda node: node.kill())
        self.world.territory.nodes[peer].start_sshd()
        return f"sshd of {peer} killed at byte {at}"

    def vault_at_a_byte(self) -> str:
        """The vault that a peer's sshd started, and not sshd, in the middle of what comes to it."""
        killed: list[int] = []
        at = int(KIB * 2 ** self.draw.uniform(0, 11))
        peer = self._stalled(at, lambda node: killed.append(kill_vaults(node)))
        return f"vault of {peer} {'killed' if killed[0] else 'gone'} at byte {at}"

    def _stalled(self, at: int, kill: Callable[[ProcessNode], object]) -> str:
        """Do `kill` at a peer whose line stands still at byte `at`, if as many come; which peer it was."""
        peer = self.draw.choice((STANDBY, BLIND))
        with relayed(self.world.territory, peer) as relay:
            relay.up.stall_after = at
            with self.backup() as process:
                deadline = time.monotonic() + 20
                while relay.up.carried < at and process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.005)
                kill(self.world.territory.nodes[peer])
                relay.heal()
                process.wait(60)
        return peer

    def line_at_a_byte(self) -> str:
        peer = self.draw.choice((STANDBY, BLIND))
        at = self.draw.randrange(1, 2 * MIB)
        with relayed(self.world.territory, peer) as relay:
            way = self.draw.choice(("up", "down"))
            getattr(relay, way).cut_after = at if way == "up" else at % (8 * KIB) + 1
            with self.backup() as process:
                process.wait(60)
        return f"line to {peer} cut {way} at byte {at}"


def kill_vaults(node: ProcessNode) -> int:
    """Kill what the sshd of `node` has started for its callers, none of sshd's own processes; how many there were."""
    killed = 0
    for child in [child for sshd in node.processes for child in descendants(sshd.pid)]:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            if b"sshd" not in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(child, signal.SIGKILL)
                killed += 1
    return killed


FAULTS = (
    Fault.ours_at_a_step,
    Fault.borg_at_a_step,
    Fault.ours_at_a_moment,
    Fault.everything_at_a_moment,
    Fault.agent_at_a_moment,
    Fault.tidy_at_a_step,
    Fault.sshd_at_a_byte,
    Fault.vault_at_a_byte,
    Fault.line_at_a_byte,
)


def survive(world: FaultWorld, seed: str) -> str:
    """One fault, or two in a row, drawn from `seed`; then what must hold. What was done, in words."""
    fault = Fault(world, random.Random(f"kills {seed}"))
    told: list[str] = []
    try:
        for _ in range(fault.draw.choice((1, 1, 2))):
            world.change(random_bytes=fault.draw.choice((2 * KIB, 2 * MIB)))
            told.append(fault.draw.choice(FAULTS)(fault))
        world.change()
        world.assert_healed()
        world.assert_nothing_lost()
    except BaseException as error:
        number = int(seed.split("-")[1]) + 1
        error.add_note(f"after: {', '.join(told) or 'nothing yet'}")
        error.add_note(f'repeat it with: make soak SUITE="soak_of_kills and {seed}" N={number} SEED={DAY_SEED}')
        raise
    return ", ".join(told)


@pytest.mark.parametrize("drawn", SAMPLED)
def test_a_fault_of_the_day_is_survived(world: FaultWorld, drawn: str) -> None:
    print(survive(world, drawn))


@pytest.fixture(scope="session")
def results() -> Results:
    return Results("kills")


@pytest.mark.slow
@pytest.mark.parametrize("drawn", SOAKED)
def test_soak_of_kills(request: pytest.FixtureRequest, results: Results, drawn: str) -> None:
    if results.has(drawn):
        pytest.skip("held in an earlier part of this soak")
    started = time.monotonic()
    done = survive(request.getfixturevalue("world"), drawn)
    results.held(drawn, done, time.monotonic() - started)


@pytest.mark.slow
def test_soak_of_kills_is_written_down(results: Results) -> None:
    """The last of the soak: every run must have held."""
    missing = [drawn for drawn in SOAKED if not results.has(drawn)]
    assert not missing, f"these did not hold, or did not run: {', '.join(missing)}"
    print(results.write_down(DAY_SEED, SOAKED, folder=Path(__file__).parents[3] / "docs/results"))
