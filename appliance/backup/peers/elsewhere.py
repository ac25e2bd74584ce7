"""Whether another node has a service now, and what brings it back here: most often no grant of a person.

A service that moves between nodes comes back by failover, which loses nothing. A new grant of the key holder takes it
from its present node, with all that was written there since the last generation: nothing that is printed proposes that
while another node serves it. A node that is neither origin nor standby of a service any more has nothing to bring back.
"""

from __future__ import annotations

import json

from appliance import typed
from appliance.backup.chain.chain import chain_of
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.stored_grants import stored_grant
from appliance.node.failover_status import load_of_boot
from appliance.node.handle import Node
from appliance.node.movable_services import read_movable
from appliance.territory.model import NEVER
from appliance.units import as_typed


def served(node: Node) -> tuple[str, ...]:
    """The services that this node may serve: those of which it is a candidate and has a program, or units of a host."""
    path = node.layout.root / "programs.json"
    if node.layout.is_this_host:
        programs = {name for name, it in read_movable().items() if it.here}
    else:
        programs = set(json.loads(path.read_bytes()) if path.exists() else {})
    plans = node.bundle.territory.services.values()
    return tuple(it.name for it in plans if it.name in programs and node.name in (it.node, *it.standbys))


def moves(node: Node, service: str) -> bool:
    """Whether failover gives `service` to this node and takes it away."""
    try:
        return bool(node.bundle.voting.keys) and service in served(node)
    except (OSError, ValueError, TypeError):
        return False


def installs_its_files(node: Node, service: str) -> bool:
    """Whether failover lays the files of `service` here: on a host, where its folder is read-only unless it serves."""
    return node.form(service) is not None and moves(node, service)


def is_candidate(node: Node, service: str) -> bool:
    """Whether the bundle names this node as the origin or a standby of `service`."""
    terms = node.bundle.terms(service)
    return node.name in (terms.origin, *terms.standbys)


def server_elsewhere(node: Node, service: str) -> str:
    """The other node that serves `service` now: it holds the lease, and the newest grant names it. "" when nobody is
    known to: a lease alone serves nothing, as where its holder can be granted no epoch."""
    status = load_of_boot(node.layout.failover, service, node.clock.boot_id())
    if status is None or not status.holder or status.holder == node.name or status.holder != status.writer:
        return ""
    return status.holder


def is_heard(node: Node, service: str) -> bool:
    """Whether failover knows who holds `service` now, or that nobody does."""
    status = load_of_boot(node.layout.failover, service, node.clock.boot_id())
    return status is not None and status.holder is not None


def comes_back(node: Node, service: str) -> str:
    """Return a sentence on what to do about a service that moves and that another node writes."""
    if node.name == node.bundle.terms(service).origin:
        back = as_typed("appliance", "failover", "handback", service)
        if node.bundle.territory.hand_back == NEVER:
            return f"This territory leaves it to a person to hand it back, on any node: `{back}`."
        return f"It is handed back automatically at night, once this node is ready. At once, on any node: `{back}`."
    return f"Nothing to do. To move it here: `{as_typed('appliance', 'failover', 'move', service, node.name)}`."


def given_away(node: Node, service: str) -> str:
    """The same of a service that territory.yml gave to another node."""
    return f"Nothing to do here: territory.yml gives {service} to {node.bundle.terms(service).origin}."


def continued_here(node: Node, service: str, writer: str) -> str:
    """Return what to do about a service that `writer` writes, so that this node may: often nothing."""
    if not is_candidate(node, service):
        return given_away(node, service)
    if writer != node.name and moves(node, service):
        return comes_back(node, service)
    again = typed.resync(service)
    if writer == node.name:  # by keys that it has no more
        return f"Type `{again}`."
    return f"Nothing to do while {writer} serves it. Once that has stopped or is lost: `{again}`."


def known_writer(node: Node, service: str) -> str:
    """The writer of `service` as far as it is known here: by the newest grant of the chain or the vault, or as
    planned."""
    chain, replica = chain_of(node, service), replica_of(node, service)
    newest = max((*chain.epochs(), *replica.epochs()), default=0)
    if not newest:
        return node.bundle.terms(service).origin
    grant = chain.grant_of(newest) or stored_grant(replica, node.bundle, newest)
    return grant.writer
