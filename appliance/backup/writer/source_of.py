"""The source of a service at this node, by the bundle, and the age of this machine when it is read."""

from __future__ import annotations

import hashlib

from appliance.backup.sources import PostgresServer, SourceSpec
from appliance.backup.writer.manifest import Aged
from appliance.backup.writer.own import own_paths
from appliance.host.identity import machine_id
from appliance.node.handle import Node
from appliance.territory.implicit import is_implicit


def source_spec(node: Node, service: str) -> SourceSpec:
    """Return what this node reads for `service`, by the bundle."""
    found = node.bundle.terms(service).service
    paths = own_paths(node, found) if is_implicit(found) else found.paths
    below = "" if is_implicit(found) or not node.layout.machine.exists() else str(node.layout.machine)
    return SourceSpec(found.name, found.kind, paths, found.exclude, found.database, _server(node, service), below)


def _server(node: Node, service: str) -> PostgresServer:
    """The host's own, or that of a database which moves between hosts."""
    form = node.form(service)
    if form is None or not form.socket:
        return PostgresServer()
    return PostgresServer(host=form.socket.format(service), port=form.port)


def aged_now(node: Node) -> Aged:
    """Return the age of this machine, and its start: they tell the archives of wrong clocks apart."""
    machine = hashlib.sha256(f"{node.name} {machine_id()}".encode()).hexdigest()[:12]
    return Aged(node.ageing.now(), machine, node.clock.boot_id())
