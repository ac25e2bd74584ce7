"""What a node knows of a service's grants: those of its own chain, and those that it keeps as a vault."""

from __future__ import annotations

from appliance.backup.chain import Chain
from appliance.backup.node import Node
from appliance.backup.vault.kept import granters_at
from appliance.trust.granters import Granters


def granters_of(node: Node, service: str) -> Granters:
    """Whose grants of `service` this node believes when a peer shows them: those it keeps already stay good."""
    chain = Chain(node.service(service).chain, node.bundle.granters)
    return granters_at(node.holding(service), node.bundle).keeping(chain.raw_grants())
