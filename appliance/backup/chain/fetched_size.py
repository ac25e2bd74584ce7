"""Beside which generation that somebody still holds a fetched one has lost most; `shrink_check.py` has the rule."""

from __future__ import annotations

from collections.abc import Collection

from appliance.backup.chain.chain import Chain
from appliance.backup.chain.header_sizes import size_of
from appliance.backup.chain.shrink_check import BackupSize, lost_most_of_its_size
from appliance.backup.peers.fetch import Survey
from appliance.backup.vault.replicas import replica_of
from appliance.node.handle import Node
from appliance.trust.generation import Header


def held_by_anybody(node: Node, service: str, found: Survey) -> frozenset[str]:
    """The names of the generations that a peer in `found` or this node holds."""
    own = (item.name for item in replica_of(node, service).listed() if item.held)
    return frozenset((*own, *(name for head in found.heads for name in head.held)))


def lost_most(chain: Chain, fetched: Header, held: Collection[str]) -> BackupSize | None:
    """Beside which generation the one that was `fetched` has lost most: of those `held`, and what was sealed here last.

    `chain` knows the headers, as after a fetch.
    """
    last, repositories = chain.newest(), {epoch: grant.repository for epoch, grant in chain.grants().items()}
    names = {*held, *([last.header.id.name] if last else [])} & {*chain.names()}
    headers = [chain.header(name) for name in sorted(names)]
    same = repositories[fetched.epoch]
    return lost_most_of_its_size(size_of(fetched), (size_of(it) for it in headers if repositories[it.epoch] == same))
