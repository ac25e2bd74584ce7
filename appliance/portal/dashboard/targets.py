"""The programs that the dashboard asks, and their addresses. Pure, but for the one file that names them in process
mode.

On a host it asks as Prometheus beside it does: inside the mesh, by TLS, under the names of the nodes' certificates, at
the ports of the roles `exporters` and `monitoring`. Nodes that are plain processes have ports of their own: there
`watch.json` names them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from appliance.host.layout import NodeLayout
from appliance.monitor.duty.queue_client import QUEUE
from appliance.monitor.metrics import PATH
from appliance.territory.model import Territory

ADDRESS = "/territoire"
EXPORTER_PORT, NODE_EXPORTER_PORT, PROMETHEUS_PORT = 9470, 9100, 9090
COLLECTORS = ("hwmon", "thermal_zone", "rapl", "textfile")
"""The collectors of node_exporter that a dashboard shows: heat, power, the UPS."""
_MACHINE = f"{PATH}?{'&'.join(f'collect[]={it}' for it in COLLECTORS)}"


@dataclass(frozen=True)
class Target:
    """A program that answers GET `path`. `name` stands in its certificate; "" for one that answers in clear."""

    address: str
    port: int
    path: str = PATH
    name: str = ""

    @property
    def url(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'https' if self.name else 'http'}://{host}:{self.port}{self.path}"


@dataclass(frozen=True)
class Targets:
    """`agents` and `machines` by node; None where there is no Prometheus to ask."""

    agents: Mapping[str, Target]
    machines: Mapping[str, Target]
    prometheus: Target | None = None


@dataclass(frozen=True)
class Addresses:
    """Where people find what `node` watches: names that the PCs of its site, and nodes of the mesh, know."""

    node: str
    dashboard: str
    prometheus: str


def addresses(territory: Territory) -> tuple[Addresses, ...]:
    """Return the addresses of every monitoring node of hosts."""
    monitors = (name for name, it in territory.nodes.items() if "monitor" in it.roles)
    hosts = {name: f"https://{name}.{territory.domain}" for name in monitors}
    return tuple(Addresses(name, f"{host}{ADDRESS}", f"{host}:{PROMETHEUS_PORT}/") for name, host in hosts.items())


def is_watching(layout: NodeLayout, node: str, territory: Territory) -> bool:
    """Whether dashboards are made at `node`."""
    return "monitor" in territory.nodes[node].roles or layout.watch.exists()


def queue(layout: NodeLayout) -> str:
    """Return the address of the queue of alerts of this node; `is_watching` it must be."""
    if not layout.watch.exists():
        return QUEUE
    named = json.loads(layout.watch.read_bytes()).get("queue")
    return named if isinstance(named, str) else QUEUE


def targets(layout: NodeLayout, node: str, territory: Territory) -> Targets:
    """Return the programs that `node` asks; `is_watching` it must be."""
    return _of_processes(json.loads(layout.watch.read_bytes())) if layout.watch.exists() else of_hosts(node, territory)


def of_hosts(node: str, territory: Territory) -> Targets:
    def at(name: str, port: int, path: str) -> Target:
        return Target(territory.nodes[name].reach, port, path, f"{name}.{territory.domain}")

    return Targets(
        {name: at(name, EXPORTER_PORT, PATH) for name in territory.nodes},
        {name: at(name, NODE_EXPORTER_PORT, _MACHINE) for name in territory.nodes},
        at(node, PROMETHEUS_PORT, ""),
    )


def _of_processes(content: Mapping[str, Mapping[str, str] | str]) -> Targets:
    def all_of(kind: str) -> dict[str, Target]:
        named = content.get(kind, {})
        return {name: _in_clear(url) for name, url in named.items()} if isinstance(named, Mapping) else {}

    prometheus = content.get("prometheus")
    return Targets(all_of("agents"), all_of("machines"), _in_clear(prometheus) if isinstance(prometheus, str) else None)


def _in_clear(url: str) -> Target:
    found = urlsplit(url)
    return Target(found.hostname or "", found.port or 80, found.path)
