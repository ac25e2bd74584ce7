"""The grants of a service that a node knows: those of its own chain, and those that it keeps as a vault."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.backup.chain.chain import Chain, chain_of
from appliance.backup.chain.kept_grants import KeptGrants
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.stored_grants import granters_at
from appliance.node.handle import Node
from appliance.trust.granters import Granters, is_confirmed

FAILOVER_KEEPS = ("known-grant", "granted")
"""The newest grant that others showed, and one that waits to be adopted: files of a service (`failover/program.py`)."""


def granters_of(node: Node, service: str) -> Granters:
    """Return the signers whose grants of `service` this node believes from a peer: the grants that it keeps stay
    good."""
    chain = Chain(node.service(service).chain, node.bundle.granters, service)
    return granters_at(replica_of(node, service), node.bundle).keeping(chain.raw_grants())


def shown_grants(node: Node) -> tuple[str, ...]:
    """Return the grants that the key holder needs when the voters change: the newest grant of each service that is kept
    here, and every voted one that the bundle does not confirm yet. A service that left the plan is still restored by
    its grants."""
    services = (*node.bundle.territory.services, *node.bundle.former.services)
    found = dict.fromkeys(raw for service in services for raw in _to_show(node, service))
    return tuple(raw.decode() for raw in found)


def _to_show(node: Node, service: str) -> Iterator[bytes]:
    kept = tuple(_kept(node, service))
    granters = granters_of(node, service).keeping(kept)
    grants = {grant.epoch: grant for grant in map(granters.read, kept)}
    newest = max(grants, default=0)
    for epoch, grant in sorted(grants.items()):
        if epoch == newest or not is_confirmed(grant, node.bundle.confirmed):
            yield grant.document.raw


def _kept(node: Node, service: str) -> Iterator[bytes]:
    """All that is kept here of `service`, each judged when it came."""
    replica, root = replica_of(node, service), node.service(service).root
    yield from (replica.grant(epoch) for epoch in replica.epochs())
    yield from chain_of(node, service).raw_grants()
    yield from (path.read_bytes() for path in map(root.joinpath, FAILOVER_KEEPS) if path.exists())
    yield from KeptGrants(node.layout.voter_maintenance / KeptGrants.FOLDER).of(service)
