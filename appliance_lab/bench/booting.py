"""How fast a territory of real hosts is there: from `lab up` to the last node's greeting by SSH."""

from __future__ import annotations

import time
from pathlib import Path

from appliance.config.load import load
from appliance.errors import ApplianceError
from appliance.host.command import run
from appliance_lab.bench.bench import Bench, Skipped
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.hosts import lab as labs
from appliance_lab.hosts import needs
from appliance_lab.hosts.paths import HostPaths
from appliance_lab.hosts.plan import make_plan

NAME = "bench"
GOAL_SECONDS = 10.0
UP_SECONDS_MAX = 2400.0  # with the base image


def hosts_answer(bench: Bench) -> tuple[Figure, ...]:
    """The whole command, as typed, with the base image there and every disk new; one more node than was promised."""
    inventory = checkout() / "inventory/lab"
    nodes = len(make_plan(load(inventory), NAME).nodes)
    argv = (*appliance_argv(), "lab", "up", "--name", NAME, "--inventory", str(inventory))
    seconds = []
    try:
        _up(argv)
        for _ in bench.runs("hosts of a lab"):
            labs.down(HostPaths(), NAME, quiet)
            started = time.monotonic()
            _up(argv)
            seconds.append(time.monotonic() - started)
    finally:
        labs.down(HostPaths(), NAME, quiet)
    title = f"SSH on {nodes} hosts of a lab, base image cached"
    notes = ("the command as typed, new disks and host keys each time",)
    return (Figure("hosts", title, "s", tuple(seconds), goal=Goal(GOAL_SECONDS), notes=notes),)


def checkout() -> Path:
    """Where playbooks and inventory/lab lie; raise Skipped where this machine can have no lab."""
    if reason := needs.why_not():
        raise Skipped(reason)
    if not (code_folder() / "inventory/lab").is_dir():
        raise Skipped("there is no checkout with inventory/lab here.")
    return code_folder()


def _up(argv: tuple[str, ...]) -> None:
    result = run(argv, timeout_seconds=UP_SECONDS_MAX, env={"PYTHONPATH": str(code_folder())})
    if result.exit_code != 0:
        raise ApplianceError(f"appliance lab up ended with {result.exit_code}: {result.tail()}")


def quiet(sentence: str) -> None:
    """Only the runs are told."""
