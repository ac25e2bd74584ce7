"""What an agent takes while there is nothing to do."""

from __future__ import annotations

import os
import time
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.lab.bench.bench import Bench
from appliance.lab.bench.figures import Figure, Goal
from appliance.lab.bench.measure import children, status_bytes
from appliance.units import MIB

TICKS = os.sysconf("SC_CLK_TCK")
SETTLE_SECONDS_MAX = 300.0
LOOK_SECONDS = 0.2


def agent_at_rest(bench: Bench) -> tuple[Figure, ...]:
    """The agents of the origin and of both peers, once they have done what there was to do; the worst of the three."""
    ground = bench.saved().ground
    nodes = (ground.origin, *ground.peers)
    memory, load = [], []
    with ground.listening():
        for node in nodes:
            node.start_agent()
        agents = [node.processes[-1].pid for node in nodes]
        try:
            _wait_until_settled(agents, bench.size.settled_seconds)
            window = bench.size.rest_seconds / bench.size.runs
            for _ in bench.runs("agents at rest"):
                before = [_cpu_seconds(pid) for pid in agents]
                time.sleep(window)
                used = [_cpu_seconds(pid) - then for pid, then in zip(agents, before, strict=True)]
                load.append(100 * max(used) / window)
                memory.append(max(status_bytes(pid, "VmRSS") for pid in agents) / MIB)
        finally:
            ground.origin.stop()
    notes = ("the worst of the agents of origin, standby and blind peer; with the processes they start",)
    return (
        Figure("agent-memory", "agent at rest, resident memory", "MiB", tuple(memory), goal=Goal(60), notes=notes),
        Figure("agent-cpu", "agent at rest, CPU", "% of a core", tuple(load), goal=Goal(0.5), notes=notes),
    )


def _wait_until_settled(agents: list[int], seconds: float) -> None:
    """Until none has had work for so long."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < seconds:
        if any(children(pid) for pid in agents):
            quiet_since = time.monotonic()
        if not all(Path(f"/proc/{pid}").exists() for pid in agents) or time.monotonic() > deadline:
            raise ApplianceError("an agent ended or did not come to rest.")
        time.sleep(LOOK_SECONDS)


def _cpu_seconds(pid: int) -> float:
    """Of the process and of its children that ended; the kernel tells them in hundredths."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS
