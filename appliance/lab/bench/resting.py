"""What an agent takes while there is nothing to do."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.clock import SystemClock
from appliance.errors import ApplianceError
from appliance.host.journal import Journal
from appliance.lab.bench.bench import Bench
from appliance.lab.bench.figures import Figure, Goal
from appliance.lab.bench.measure import children, status_bytes
from appliance.lab.processes.node import ProcessNode
from appliance.units import MIB, format_count

TICKS = os.sysconf("SC_CLK_TCK")
SETTLE_SECONDS_MAX = 300.0
LOOK_SECONDS = 0.2
WINDOWS_MAX = 10


@dataclass(frozen=True)
class Window:
    """What the agents took while nothing began: resident memory and CPU of the worst; `repeated` windows had work."""

    memory_mib: float
    load_percent: float
    repeated: int


def agent_at_rest(bench: Bench) -> tuple[Figure, ...]:
    """The agents of the origin and of both peers, once they have done what there was to do; the worst of the three."""
    ground = bench.saved().ground
    nodes = (ground.origin, *ground.peers)
    with ground.listening():
        for node in nodes:
            node.start_agent()
        try:
            _wait_until_settled(_agents(nodes), bench.size.settled_seconds)
            windows = [undisturbed(bench, nodes) for _ in bench.runs("agents at rest")]
        finally:
            ground.origin.stop()
    memory, load = tuple(it.memory_mib for it in windows), tuple(it.load_percent for it in windows)
    notes: tuple[str, ...] = (
        "the worst of the agents of origin, standby and blind peer; with the processes they start",
    )
    if repeated := sum(window.repeated for window in windows):
        notes += (f"{format_count(repeated, 'window')} in which work began by schedule measured again",)
    return (
        Figure("agent-memory", "agent at rest, resident memory", "MiB", memory, goal=Goal(60), notes=notes),
        Figure("agent-cpu", "agent at rest, CPU", "% of a core", load, goal=Goal(0.5), notes=notes),
    )


def undisturbed(bench: Bench, nodes: Sequence[ProcessNode]) -> Window:
    """A window in which no agent began anything by its journal: work on its schedule is no rest, and is waited for."""
    agents, seconds = _agents(nodes), bench.size.rest_seconds / bench.size.runs
    for repeated in range(WINDOWS_MAX):
        begun = _works_begun(nodes)
        before = [_cpu_seconds(pid) for pid in agents]
        time.sleep(seconds)
        used = [_cpu_seconds(pid) - then for pid, then in zip(agents, before, strict=True)]
        memory = max(status_bytes(pid, "VmRSS") for pid in agents) / MIB
        if _works_begun(nodes) == begun:
            return Window(memory, 100 * max(used) / seconds, repeated)
        bench.say("agents at rest: work began in this window, so it is measured again")
        _wait_until_settled(agents, bench.size.settled_seconds)
    raise ApplianceError(f"work began in each of {WINDOWS_MAX} windows, so no agent was ever at rest.")


def _agents(nodes: Sequence[ProcessNode]) -> list[int]:
    return [node.processes[-1].pid for node in nodes]


def _works_begun(nodes: Sequence[ProcessNode]) -> int:
    """How many works the agents of `nodes` have begun so far."""
    return sum(1 for node in nodes for _ in Journal(node.layout.journal, SystemClock()).events("work-begun"))


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
