"""The replicas that a node keeps for others: one of each service."""

from __future__ import annotations

import os

from appliance.backup.vault.store import Replica
from appliance.node.handle import Node
from appliance.territory.model import NAME


def replica_of(node: Node, service: str) -> Replica:
    """The replica of `service` that `node` keeps for others."""
    return Replica(node.layout.vault / service)


def replica_names(node: Node) -> tuple[str, ...]:
    """The services of which anything was ever held here, also those that left the territory."""
    try:
        names = os.listdir(node.layout.vault)
    except FileNotFoundError:
        return ()
    return tuple(it for it in sorted(names) if NAME.fullmatch(it) and replica_of(node, it).generations.is_dir())
