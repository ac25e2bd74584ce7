"""The memory and CPU of an agent while there is nothing to do."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.clock import SystemClock
from appliance.errors import ApplianceError
from appliance.host.journal import Journal
from appliance.host.network import netns
from appliance.host.processes import processes_running
from appliance.units import MIB, format_count
from appliance_lab.bench.bench import Bench
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.bench.measure import children, status_bytes
from appliance_lab.processes.node import ProcessNode, free_ports

LOOPBACK = "127.0.0.1"
TICKS = os.sysconf("SC_CLK_TCK")
SETTLE_SECONDS_MAX = 300.0
LOOK_SECONDS = 0.2
WINDOWS_MAX = 10
FAILOVER_PROGRAMS = ("internal failover run", "programs/watchdog.py")


@dataclass(frozen=True)
class Window:
    """The use of the agents while nothing began: resident memory and CPU of the worst; `repeated` windows had work."""

    memory_mib: float
    load_percent: float
    repeated: int


def agent_at_rest(bench: Bench) -> tuple[Figure, ...]:
    """The agents of the origin and of both peers, once they have done what there was to do; the worst of the three."""
    env = bench.saved().env
    nodes = (env.origin, *env.peers)
    with env.listening():
        for node, port in zip(nodes, free_ports(LOOPBACK, len(nodes)), strict=True):
            node.start_exporter(port)
            node.start_agent()
        try:
            wait_until_settled(_agents(nodes), bench.size.settled_seconds)
            windows = [undisturbed(bench, nodes) for _ in bench.runs("agents at rest")]
        finally:
            env.origin.stop()
    memory, load = tuple(it.memory_mib for it in windows), tuple(it.load_percent for it in windows)
    notes: tuple[str, ...] = (
        "the worst of origin, standby and blind peer: agent and exporter, with the processes they start",
        "libraries that both map are counted once",
    )
    if repeated := sum(window.repeated for window in windows):
        notes += (f"{format_count(repeated, 'window')} in which work began by schedule measured again",)
    return (
        Figure(
            "agent-memory", "agent and exporter at rest, resident memory", "MiB", memory, goal=Goal(60), notes=notes
        ),
        Figure("agent-cpu", "agent and exporter at rest, CPU", "% of a core", load, goal=Goal(0.5), notes=notes),
    )


def undisturbed(bench: Bench, nodes: Sequence[ProcessNode]) -> Window:
    """A window in which no agent began anything by its journal: work on its schedule is no rest, and is waited for."""
    agents, seconds = _agents(nodes), bench.size.rest_seconds / bench.size.runs
    for repeated in range(WINDOWS_MAX):
        begun = _works_begun(nodes)
        before = [_cpu_seconds(node) for node in nodes]
        time.sleep(seconds)
        used = [_cpu_seconds(node) - then for node, then in zip(nodes, before, strict=True)]
        memory = max(memory_bytes(_both(node)) for node in nodes) / MIB
        if _works_begun(nodes) == begun:
            return Window(memory, 100 * max(used) / seconds, repeated)
        bench.say("agents at rest: work began in this window, so it is measured again")
        wait_until_settled(agents, bench.size.settled_seconds)
    raise ApplianceError(f"work began in each of {WINDOWS_MAX} windows, so no agent was ever at rest.")


def _both(node: ProcessNode) -> tuple[int, int]:
    """The exporter and the agent, which were started last."""
    exporter, agent = node.processes[-2:]
    return exporter.pid, agent.pid


def memory_bytes(pids: Sequence[int]) -> int:
    """The memory of all: Python and its libraries, which all map, are in memory once, and count for the one that maps
    most."""
    return sum(status_bytes(pid, "RssAnon") for pid in pids) + max(status_bytes(pid, "RssFile") for pid in pids)


def share_bytes(pids: Sequence[int]) -> int:
    """The memory of all: their own, and their part of what they share with others, as libraries with the agent."""
    return sum(status_bytes(pid, "Pss", "smaps_rollup") for pid in pids)


def _agents(nodes: Sequence[ProcessNode]) -> list[int]:
    return [node.processes[-1].pid for node in nodes]


def _works_begun(nodes: Sequence[ProcessNode]) -> int:
    """How many works the agents of `nodes` have begun so far."""
    return sum(1 for node in nodes for _ in Journal(node.layout.journal, SystemClock()).events("work-begun"))


def wait_until_settled(workers: Sequence[int], seconds: float) -> None:
    """Until none of these processes has had one of its own at work for so long."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < seconds:
        if any(children(pid) for pid in workers):
            quiet_since = time.monotonic()
        if not all(Path(f"/proc/{pid}").exists() for pid in workers) or time.monotonic() > deadline:
            raise ApplianceError("a process ended or did not come to rest.")
        time.sleep(LOOK_SECONDS)


def _cpu_seconds(node: ProcessNode) -> float:
    return ticks_seconds(_both(node))


def ticks_seconds(pids: Sequence[int]) -> float:
    """CPU seconds of all and of their children that ended; the kernel tells them in hundredths."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS


def failover_at_rest(bench: Bench, namespace: str) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """MiB, the same by its share (PSS) and percent of a core, window by window: the program that serves, and its
    watchdog, of the host in `namespace`. A worker called before counts whole when it ends, so it ends first."""
    there = frozenset(netns.pids(namespace))
    started = (*processes_running("appliance"), *processes_running("watchdog.py"))
    ours = (it for it in started if any(words in " ".join(it.argv) for words in FAILOVER_PROGRAMS))
    pids = [it.pid for it in ours if it.pid in there]
    if len(pids) != len(FAILOVER_PROGRAMS):
        raise ApplianceError(
            f"{len(pids)} programs of internal failover run in {namespace}, not {len(FAILOVER_PROGRAMS)}."
        )
    wait_until_settled(pids, bench.size.settled_seconds)
    memory, share, load = [], [], []
    for _ in bench.runs("coordination at rest"):
        before = ticks_seconds(pids)
        time.sleep(bench.size.rest_seconds)
        load.append(100 * (ticks_seconds(pids) - before) / bench.size.rest_seconds)
        memory.append(memory_bytes(pids) / MIB)
        share.append(share_bytes(pids) / MIB)
    return tuple(memory), tuple(share), tuple(load)
