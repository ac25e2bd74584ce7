"""The keys of a lost machine's services for the machine in its place, which has no envelope that it can open.

A standby, which may open them, seals each again to the age key that the signed bundle has for that node now: the
territory's signature names the node, so nobody need type the recovery sheet. Where no standby is left, the sheet does
the same once. An exported key stays a sealed envelope on the disk, and is dropped when the machine writes the service
itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.backup.chain.resync import fetch_for_resync
from appliance.backup.peers.fetch import read_held
from appliance.backup.peers.fetched_key import open_key, own_age_key, staging
from appliance.backup.peers.openable import is_written_here
from appliance.backup.vault.replicas import replica_of
from appliance.errors import ApplianceError, NotFound, Refused
from appliance.escrow.envelopes import ServiceKey, open_envelope, read_key, seal
from appliance.host.files import make_private_folder, write_atomic
from appliance.node.handle import Node
from appliance.secret import Secret


def export_keys(node: Node, to: str) -> tuple[dict[str, bytes], dict[str, ApplianceError]]:
    """An envelope for the node `to` of each service that begins there and that this node may open; and what it may
    open and could not.
    """
    recipient = node.bundle.member(to).keys.age
    envelopes: dict[str, bytes] = {}
    failed: dict[str, ApplianceError] = {}
    for service in node.bundle.territory.services_of(to):
        if node.name not in service.standbys:
            continue
        try:
            envelopes[service.name] = seal(_own_key(node, service.name), recipient)
        except ApplianceError as error:
            failed[service.name] = error
    return envelopes, failed


def import_keys(node: Node, envelopes: Mapping[str, bytes]) -> tuple[str, ...]:
    """Keep the envelopes that were made for this node, of services that it does not write yet; which ones, by service.

    Raise Refused, before any is kept, for one of a service that begins elsewhere or that was sealed to other keys.
    """
    for service, envelope in envelopes.items():
        if node.bundle.terms(service).origin != node.name:
            raise Refused(
                f"{node.name} is not the origin of {service}.", remedy="Import what was exported for this node."
            )
        open_envelope(envelope, own_age_key(node))
    lacking = [service for service in sorted(envelopes) if not is_written_here(node, service)]
    for service in lacking:
        _keep(node, service, envelopes[service])
    return tuple(lacking)


def import_by_sheet(node: Node, service: str, paper: Secret) -> None:
    """Fetch the newest generation of `service`, open its envelope with the recovery key, and keep the key sealed to
    this machine.
    """
    fetch_for_resync(node, service)
    key = open_key(node, service, staging(node, service), paper)
    _keep(node, service, seal(key, node.bundle.member(node.name).keys.age))


def _keep(node: Node, service: str, envelope: bytes) -> None:
    layout = node.service(service)
    make_private_folder(layout.root)
    write_atomic(layout.handed, envelope, mode=0o600)
    node.journal.write("key-handed", service=service)


def _own_key(node: Node, service: str) -> ServiceKey:
    """From what is written here after a takeover, else from this node's envelope in what it holds."""
    if (node.service(service).key / "keyfile").exists():
        return read_key(node.service(service).key)
    mine = f"envelopes/{node.name}.age"
    entry = next((entry for entry in read_held(node, service).entries if entry.path == mine), None)
    if entry is None:
        raise NotFound(f"{service} has no envelope for {node.name}.", remedy="Open it with the recovery key.")
    return open_envelope(replica_of(node, service).blob(entry.sha256).read_bytes(), own_age_key(node))
