"""Prove that every generation a peer holds is whole: signature, list, and the hash of every byte, without any key."""

from __future__ import annotations

from appliance.backup.peers.fetch import read_held
from appliance.backup.vault.replicas import replica_of
from appliance.host.files import sha256_file
from appliance.node.handle import Node
from appliance_lab.story import Violated


def prove_whole(node: Node, service: str, names: tuple[str, ...]) -> int:
    """Read back the generations `names` held by `node`; return the bytes hashed, raise Violated for what is missing."""
    replica = replica_of(node, service)
    checked: dict[str, int] = {}
    for name in names:
        for entry in read_held(node, service, name).entries:
            if entry.sha256 in checked:
                continue
            path = replica.blob(entry.sha256)
            if not path.exists() or sha256_file(path) != entry.sha256:
                raise Violated(f"{node.name} lost or changed {entry.path} of generation {name}.")
            checked[entry.sha256] = entry.size
    return sum(checked.values())


def held_names(node: Node, service: str) -> tuple[str, ...]:
    return tuple(item.name for item in replica_of(node, service).listed() if item.held)
