"""How much a run costs in which nothing changed, against one that saves everything all the same."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.host.command import run
from appliance.units import GIB
from appliance_lab.bench.bench import Bench, in_turns
from appliance_lab.bench.env import BenchEnv, make_env
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.bench.measure import cost
from appliance_lab.checkout import code_folder
from appliance_lab.demo.context import SERVICE

IN_A_FOLDER = 500
FULL = "a run that saves everything"


def still(bench: Bench) -> tuple[Figure, ...]:
    """A run of many files by the schedule, and the same as it was before: borg and a generation at both peers."""
    documents = _many_files(bench.work / "still", bench.size.still_files)
    env = make_env(bench.work / "still-ground", documents, GIB)
    cpu: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    with env.listening():
        _due(env, "full")
    for number in bench.runs("nothing changed, many files"):
        legs = {kind: partial(cost, env.peers, partial(_due, env, kind)) for kind in ("still", "full")}
        round_ = dict(in_turns(number, legs))
        idle = cost(env.peers, lambda: None)
        for kind, found in round_.items():
            cpu.setdefault(kind, []).append(found.less(idle).cpu_seconds)
            seconds.setdefault(kind, []).append(found.wall_seconds)
    env.wipe()
    title = f"nothing changed in {bench.size.still_files:,} files, CPU of all hosts"
    return (
        Figure("still-cpu", title, "CPU s", tuple(cpu["still"]), goal=Goal(3.0)),
        Figure("still-cpu-full", title, "CPU s", tuple(cpu["still"]), tuple(cpu["full"]), FULL),
        Figure("still-wall-full", "the same, wall", "s", tuple(seconds["still"]), tuple(seconds["full"]), FULL),
    )


def _due(env: BenchEnv, kind: str) -> None:
    argv = (sys.executable, "-sP", "-m", "appliance_lab.bench.unchanged.due", str(env.origin.state), SERVICE, kind)
    result = run(argv, timeout_seconds=3600, env={"PYTHONPATH": str(code_folder())})
    if result.exit_code:
        raise ApplianceError(f"the run was not {kind}, or failed: {result.tail()}")


def _many_files(root: Path, count: int) -> Path:
    """Small files of which no two are the same."""
    for number in range(count):
        folder = root / f"{number // IN_A_FOLDER:04}"
        if not number % IN_A_FOLDER:
            os.makedirs(folder)
        (folder / f"document {number}.txt").write_text(f"document {number}\n")
    return root
