"""The metrics that a node gives and to which nodes, from the bundle: words of the two exporters, and their ports. Pure.

Nothing is sent in clear: before there are copies of the node's certificate, which the role `exporters` makes for the
account of Prometheus, there is neither file nor unit.
"""

from __future__ import annotations

import json

from appliance.provision.addresses import bracketed
from appliance.provision.files import HEADING, Part, WantedFile
from appliance.territory.model import Node
from appliance.trust.bundle import Bundle

MONITOR = "monitor"
PORT, NODE_PORT = 9470, 9100
"""The ports of the agent's measures and of the machine's, at the address in the mesh."""
TLS = "/etc/prometheus/tls"
WEB = "/etc/prometheus/web.yml"
WORDS, NODE_WORDS = "/etc/appliance/exporter", "/etc/appliance/prometheus-node-exporter"
UNIT, NODE_UNIT = "appliance-exporter.service", "prometheus-node-exporter.service"
UNITS = (UNIT, NODE_UNIT, "appliance-probe.timer", "appliance-announce.service")


def monitors(bundle: Bundle) -> tuple[Node, ...]:
    """The nodes that ask, by name; none whose keys were taken back."""
    found = sorted(bundle.territory.nodes.items())
    return tuple(node for name, node in found if MONITOR in node.roles and name not in bundle.revoked_nodes)


def part(bundle: Bundle, name: str, *, certified: bool) -> Part:
    """Return the exporters of the node `name`; `certified`: whether the copies of its certificate are there."""
    asking = monitors(bundle)
    if not certified or not asking:
        return Part("exporters")
    names = [f"{it.name}.{bundle.territory.domain}" for it in asking]
    keys = [bundle.members[it.name].keys.tls for it in asking if it.name in bundle.members]
    listen = bundle.territory.nodes[name].reach
    return Part(
        "exporters",
        (
            WantedFile(WEB, _web(names), mode=0o640, group="prometheus", reload=_restart(NODE_UNIT)),
            WantedFile(
                WORDS, _lines(f"LISTEN={listen}", f"PORT={PORT}", f"KEYS={' '.join(keys)}"), reload=_restart(UNIT)
            ),
            WantedFile(
                NODE_WORDS,
                _lines(f'ARGS="--web.listen-address={bracketed(listen)}:{NODE_PORT} --web.config.file={WEB}"'),
                reload=_restart(NODE_UNIT),
            ),
        ),
        units=UNITS,
    )


def _web(names: list[str]) -> str:
    """For Prometheus' own kit: who asks shows the certificate of a monitoring node, from the territory's root."""
    return _lines(
        "tls_server_config:",
        f"  cert_file: {TLS}/certificate.pem",
        f"  key_file: {TLS}/key.pem",
        "  client_auth_type: RequireAndVerifyClientCert",
        f"  client_ca_file: {TLS}/root.pem",
        f"  client_allowed_sans: {json.dumps(names)}",
        "  min_version: TLS13",
    )


def _lines(*lines: str) -> str:
    return "\n".join((HEADING, *lines)) + "\n"


def _restart(unit: str) -> tuple[str, ...]:
    return ("systemctl", "restart", unit)
