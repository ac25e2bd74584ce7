"""The figures of boxes at rest: the worst node of each kind, without monitoring nodes and WireGuard."""

from __future__ import annotations

from dataclasses import replace

from appliance_lab.bench.on_hosts.frugal import figures, kinds_of
from appliance_lab.bench.on_hosts.units import HostUse, Use
from tests.worlds.small import node

NODES = {
    "hermitage": replace(node("hermitage"), roles=("voter", "monitor")),
    "commune-a": replace(node("commune-a"), roles=()),
    "commune-b": replace(node("commune-b"), roles=("voter",)),
    "commune-c": replace(node("commune-c"), roles=("voter",)),
}
APART = Use(40.0, 2.0)


def use(memory: float, load: float) -> HostUse:
    return HostUse(Use(memory, load), APART, {"agent": Use(memory, load)})


def test_a_monitoring_node_is_no_box_of_a_town_hall() -> None:
    assert kinds_of(NODES) == {"commune-a": False, "commune-b": True, "commune-c": True}


def test_the_worst_voter_counts_in_each_window_and_wireguard_is_told_apart() -> None:
    windows = [
        {"commune-a": use(300.0, 9.0), "commune-b": use(100.0, 2.0), "commune-c": use(110.0, 1.0)},
        {"commune-a": use(300.0, 9.0), "commune-b": use(120.0, 1.0), "commune-c": use(110.0, 3.0)},
    ]
    memory, load = figures(True, kinds_of(NODES), windows)
    assert (memory.values, load.values) == ((110.0, 120.0), (2.0, 3.0))
    assert "user-space WireGuard, 40 MiB and 2.00 %, is not in it" in memory.notes
    assert "commune-b: agent 120 MiB 1.00 %" in memory.notes


def test_a_lab_without_a_node_of_a_kind_has_no_figure_of_it() -> None:
    assert figures(True, {"commune-a": False}, []) == ()
