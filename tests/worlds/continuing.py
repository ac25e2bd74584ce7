"""A takeover without voters: another node continues a service by a grant of the territory key."""

from __future__ import annotations

from appliance.backup.chain.resync import continue_under, fetch_for_resync, request_after_fetch
from appliance.backup.peers.fetched import load_fetched, remember_fetched
from appliance.backup.peers.fetched_key import staging
from appliance.backup.peers.openable import key_of
from appliance.node.handle import Node
from appliance_lab.processes.territory import ProcessTerritory


def take_over(territory: ProcessTerritory, service: str, node: Node) -> None:
    """Let `node` continue `service` under a new grant."""
    sealed, found = fetch_for_resync(node, service, None)
    remember_fetched(node, service, sealed)
    raw = territory.grant(request_after_fetch(node, service, found, "test"), node.name)
    key = key_of(node, service, staging(node, service), None)
    continue_under(node, service, load_fetched(node, service), raw, key)
