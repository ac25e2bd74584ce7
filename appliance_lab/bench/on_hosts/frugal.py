"""The memory and CPU of our units on a box while nothing happens: hosts of a lab, services at home, scraping on.

The worst node that does not vote and the worst voter; monitoring nodes run programs for all others, and are not boxes
of a town hall.
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.config.load import load
from appliance.host.network import netns
from appliance.host.processes import processes_running
from appliance.provision.exporters import MONITOR
from appliance.territory.model import Node
from appliance.territory.quorum import VOTER
from appliance.units import format_count
from appliance_lab.bench.bench import Bench
from appliance_lab.bench.booting import checkout
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.bench.on_hosts.units import READ, SYSTEM_SLICE, HostUse, read
from appliance_lab.bench.outage import Outage, served
from appliance_lab.bench.resting import wait_until_settled

GOALS = {False: (120.0, 1.0), True: (200.0, 2.5)}
"""MiB and percent of a core, for a node that votes or not."""


def frugal(bench: Bench) -> tuple[Figure, ...]:
    with served(bench) as ground:
        kinds = kinds_of(load(checkout() / "inventory/lab").nodes)
        windows: list[dict[str, HostUse]] = []
        wait_until_settled([pid for name in kinds for pid in _agents(ground, name)], bench.size.settled_seconds)
        for _ in bench.runs("boxes at rest"):
            windows.append({name: _use(ground, name, bench.size.rest_seconds) for name in kinds})
    return tuple(figure for votes in (False, True) for figure in figures(votes, kinds, windows))


def kinds_of(nodes: Mapping[str, Node]) -> dict[str, bool]:
    """Whether each box of a town hall votes; monitoring nodes are left out."""
    return {name: VOTER in it.roles for name, it in nodes.items() if MONITOR not in it.roles}


def figures(votes: bool, kinds: Mapping[str, bool], windows: list[dict[str, HostUse]]) -> tuple[Figure, ...]:
    """Memory and CPU of the worst node of a kind, window by window; none where the lab has no such node."""
    names = [name for name, it in kinds.items() if it is votes]
    if not names:
        return ()
    memory = tuple(max(window[name].ours.memory_mib for name in names) for window in windows)
    load = tuple(max(window[name].ours.load_percent for name in names) for window in windows)
    worst = max(names, key=lambda name: windows[-1][name].ours.memory_mib)
    apart = windows[-1][worst].wireguard
    notes = (
        f"the worst of {format_count(len(names), 'node')}; units of ours, each page by its share (PSS)",
        f"user-space WireGuard, {apart.memory_mib:.0f} MiB and {apart.load_percent:.2f} %, is not in it",
        f"{worst}: {windows[-1][worst].told()}",
    )
    kind, whose = ("voter", "a voter's box") if votes else ("other", "a box that does not vote")
    most_memory, most_load = GOALS[votes]
    return (
        Figure(f"rest-{kind}-memory", f"{whose} at rest, memory", "MiB", memory, goal=Goal(most_memory), notes=notes),
        Figure(f"rest-{kind}-cpu", f"{whose} at rest, CPU", "% of a core", load, goal=Goal(most_load), notes=notes),
    )


def _agents(ground: Outage, name: str) -> list[int]:
    """The agent of a host: what it works on is its child, and no rest."""
    there = frozenset(netns.pids(ground.lab.plan.node(name).namespace))
    started = (it for it in processes_running("appliance") if "internal agent" in " ".join(it.argv))
    return [it.pid for it in started if it.pid in there]


def _use(ground: Outage, name: str, seconds: float) -> HostUse:
    return read(ground.run(name, "python3", "-I", "-c", READ, SYSTEM_SLICE, str(seconds)) or "{}")
