"""How long playbooks take to make bare hosts nodes, and a second time, when nothing is to be changed."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from appliance.errors import ApplianceError
from appliance_lab.bench.bench import Bench
from appliance_lab.bench.booting import NAME, checkout, quiet
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.hosts import lab as labs
from appliance_lab.hosts.paths import HostPaths
from appliance_lab.hosts.playbook import play_well
from appliance_lab.hosts.provision import provision
from appliance_lab.story import waiting

FIRST_SECONDS, AGAIN_SECONDS = 300.0, 45.0
REST_SECONDS, REST_SECONDS_MAX = 40.0, 900.0
"""An agent looks each half minute for something to do: one that rests for less may only not have looked."""
WORKER = b"appliance.agent.work"


def playbooks(bench: Bench) -> tuple[Figure, ...]:
    """New disks each time; bootstrap, signatures, site, grants; then site once more, which must change nothing."""
    inventory, first, again = checkout() / "inventory/lab", [], []
    nodes = 0
    try:
        for _ in bench.runs("bare hosts to nodes"):
            labs.down(HostPaths(), NAME, quiet)
            lab = labs.up(HostPaths(), NAME, inventory, quiet)
            started = time.monotonic()
            control, _ = provision(lab)
            first.append(time.monotonic() - started)
            _wait_until_agents_rest()
            second = play_well(control, "site")
            if second.changed:
                raise ApplianceError(
                    f"a second site changed {second.changed} things", where=str(control.root / "site.log")
                )
            again.append(second.seconds)
            bench.say(f"to a finished site: {first[-1]:.0f} s; site again: {again[-1]:.1f} s")
            nodes = len(lab.plan.nodes)
    finally:
        labs.down(HostPaths(), NAME, quiet)
    made = ("two plays of site and one of bootstrap, and all that people sign in between",)
    return (
        Figure(
            "site-first",
            f"{nodes} bare hosts to a finished site",
            "s",
            tuple(first),
            goal=Goal(FIRST_SECONDS),
            notes=made,
        ),
        Figure(
            "site-again",
            f"site again on {nodes} nodes, which changes nothing",
            "s",
            tuple(again),
            goal=Goal(AGAIN_SECONDS),
            notes=("once the first backups, and what agents do after those, were done",),
        ),
    )


def _wait_until_agents_rest() -> None:
    """Until no agent of this machine's hosts is at work for some seconds: all of them share its two cores."""
    with waiting("the rest of all agents", REST_SECONDS_MAX) as done:
        since = time.monotonic()
        while not done(time.monotonic() - since > REST_SECONDS):
            if _any_at_work():
                since = time.monotonic()


def _any_at_work() -> bool:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if WORKER in (process / "cmdline").read_bytes():
                return True
    return False
