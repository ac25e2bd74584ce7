"""The nodes of a territory as the control machine reaches them by SSH."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from appliance.host.network.machines import Machine, way_to
from appliance.territory.model import Node, Territory


def machines_of(
    territory: Territory,
    nodes: Iterable[Node],
    met: Mapping[str, str],
    way: Callable[[str], tuple[str, str]] = way_to,
) -> tuple[Machine, ...]:
    """Return `nodes` as machines; `met` has the host key of each, by name.

    Nobody can open a connection to a node behind a carrier's NAT: `way` says how ssh_config leads to that, as it does
    for playbooks, and only a node of the territory is asked to hand it on. To others their address is the way.
    """
    return tuple(_machine(territory, node, met, way) for node in nodes)


def _machine(
    territory: Territory, node: Node, met: Mapping[str, str], way: Callable[[str], tuple[str, str]]
) -> Machine:
    key = met.get(node.name, "")
    if node.mesh_port or not node.mesh:
        return Machine(node.name, node.address, node.port, key)
    address, jump = way(node.address)
    return Machine(node.name, address, node.port, key, _through(territory, jump, met) if jump else None)


def _through(territory: Territory, jump: str, met: Mapping[str, str]) -> Machine:
    """The node that ProxyJump names, as in root@hermitage:22; without a host key where it names none."""
    host = jump.rpartition("@")[2].partition(":")[0]
    found = next((it for it in territory.nodes.values() if host in (it.name, it.address)), None)
    return (
        Machine(found.name, found.address, found.port, met.get(found.name, ""))
        if found
        else Machine(jump, host, 22, "")
    )
