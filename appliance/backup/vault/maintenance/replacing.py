"""Replace known damage of a replica by documents that prove themselves; called with `Replica.lock` held.

Only what is wrong here is replaced: a list by the hash in its signed header, a header by its folder's name and its
grant, a grant by its signers. Our own receipt cannot come from anybody else; it is signed again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from appliance.backup.vault.evidence import LINK, read_stored_header
from appliance.backup.vault.maintenance import damage
from appliance.backup.vault.maintenance.damage import Damage
from appliance.backup.vault.receipts import sign_receipt
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.sealing.sealer import RepairDocuments
from appliance.backup.vault.store import HEADER, LIST, RECEIPT, Replica
from appliance.backup.vault.stored_grants import stored_grant
from appliance.errors import ApplianceError
from appliance.host.files import write_atomic
from appliance.node.handle import Node
from appliance.trust.generation import Header
from appliance.trust.grant import Grant


def replace(node: Node, service: str, documents: RepairDocuments, key: Path) -> None:
    """Repair what `documents` can repair; `key` is the file of the node's signing key."""
    replica = replica_of(node, service)
    wrong = damage.known(replica)
    _replace_grants(node, replica, documents.grants)
    _replace_headers(replica, {header.id.name: header for header in documents.headers}, wrong)
    for name, listing in documents.lists.items():
        if Damage(LIST, name) in wrong:
            write_atomic(replica.path(name, LIST), listing, mode=0o440)
    for item in wrong if documents.receipts else ():
        if item.kind == RECEIPT:
            receipt = sign_receipt(node, key, read_stored_header(node, replica, item.name))
            replica.unshelve(item.name)
            write_atomic(replica.path(item.name, RECEIPT), receipt, mode=0o440)


def _replace_grants(node: Node, replica: Replica, grants: Iterable[Grant]) -> None:
    for grant in grants:
        if replica.add_grant(grant.epoch, grant.document.raw):
            continue
        try:
            stored_grant(replica, node.bundle, grant.epoch)
        except ApplianceError:
            write_atomic(replica.grants / f"{grant.epoch:05d}", grant.document.raw, mode=0o440)


def _replace_headers(replica: Replica, headers: Mapping[str, Header], wrong: Collection[Damage]) -> None:
    """Write headers again where they are wrong here, and add those missing before one."""
    by_digest = {header.id.digest: header for header in headers.values()}
    for item in wrong:
        header = headers.get(item.name)
        if header and item.kind == HEADER:
            replica.unshelve(item.name)
            write_atomic(replica.path(item.name, HEADER), header.document.raw, mode=0o440)
        before = by_digest.get(header.previous) if header and item.kind == LINK else None
        while before and not replica.knows(before.id):
            replica.add_headers([(before.id, before.document.raw)])
            before = by_digest.get(before.previous)
