"""Bring back what is corrupt or gone from any other replica node that still has it: blobs by hash, the rest by
signature.

Nothing else is fetched. It needs no key and no trust in the other node: a blob proves itself by its hash, a list by the
hash in the signed header, a header by its folder's name and its grant. Our own receipt, if lost, is signed again, and
the lock then starts over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from appliance.backup.peers.conversation import Conversation, Lines
from appliance.backup.peers.shown import read_names, read_shown
from appliance.backup.vault.evidence import LINK
from appliance.backup.vault.header_parts import read_headers
from appliance.backup.vault.limits import LISTING_BYTES_MAX
from appliance.backup.vault.maintenance import damage
from appliance.backup.vault.maintenance.damage import Damage
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.sealing.sealer import RepairDocuments, Sealer
from appliance.backup.vault.sealing.sealer_choice import sealer_of
from appliance.backup.vault.store import HEADER, LIST, Replica, WrongStart
from appliance.backup.vault.stored_grants import granters_at
from appliance.backup.vault.wire import Channel
from appliance.backup.vault.write_lock import write_lock_before_relays
from appliance.errors import ApplianceError, IntegrityError
from appliance.node.handle import Node
from appliance.trust.generation import Entry, parse_list


@dataclass(frozen=True)
class Repaired:
    """The items that came back, those that are still wrong, and for each peer that could not help its reason."""

    service: str
    mended: tuple[Damage, ...]
    left: tuple[Damage, ...]
    failed: Mapping[str, str]


def repair(node: Node, service: str) -> Repaired:
    """Repair what is known to be wrong in this node's holding of `service`; raise Busy while a push is taken."""
    replica = replica_of(node, service)
    before = damage.known(replica)
    if not before:
        return Repaired(service, (), (), {})
    failed: dict[str, str] = {}
    sealer = sealer_of(node)
    sealer.prepare(service)
    with write_lock_before_relays(replica, f"the vault's replica of {service}"):
        left = sealer.repair(service, RepairDocuments())
        for peer in other_replica_nodes(node, service):
            if left:
                try:
                    left = _repair_from(node, sealer, service, peer)
                except ApplianceError as error:
                    failed[peer] = error.what
                    left = sealer.repair(service, RepairDocuments())
        left = sealer.repair(service, RepairDocuments(receipts=True))
    node.journal.write("vault-repaired", service=service, mended=len(before) - len(left), left=len(left))
    return Repaired(service, tuple(sorted(set(before) - set(left))), left, failed)


def other_replica_nodes(node: Node, service: str) -> tuple[str, ...]:
    """The nodes that may hold `service` apart from this one, best first; without those that left the territory."""
    terms = node.bundle.last_terms(service)
    names = dict.fromkeys((*terms.replica_nodes, *terms.spares, *terms.standbys))
    return tuple(name for name in names if name != node.name and name in node.bundle.members)


def _repair_from(node: Node, sealer: Sealer, service: str, peer: str) -> tuple[Damage, ...]:
    """Take what is wrong from `peer`, generation by generation, the newest first; return what is still wrong then."""
    replica = replica_of(node, service)
    left = damage.known(replica)
    with Lines(node) as lines:
        with lines.to(peer) as conversation:
            conversation.ask("head", service)
            head = conversation.channel.read_frame()
        offered = {name for key in ("held", "damaged") for name in read_names(peer, head.get(key, []))}
        newest_first = sorted(offered, reverse=True)
        for name in newest_first:
            # Every answer brings all headers, so one is enough for those.
            documents = name == newest_first[0] and any(item.kind in (HEADER, LINK) for item in left)
            if documents or any(_concerns(replica, item, name) for item in left):
                with lines.to(peer) as conversation:
                    _take(conversation, sealer, service, name, left)
                left = sealer.repair(service, RepairDocuments())
    return left


def _concerns(replica: Replica, item: Damage, name: str) -> bool:
    """Whether the files of generation `name` can repair `item`: it is its list, or our list of it names the blob."""
    if not item.is_blob:
        return item == Damage(LIST, name)
    stored = replica.find(name)
    return bool(stored and stored.listed and item.name.encode() in replica.read(name, LIST))


def _take(conversation: Conversation, sealer: Sealer, service: str, name: str, wrong: Collection[Damage]) -> None:
    """One generation's signed documents, and only those of its blobs that are `wrong` here, one by one: any of them may
    be corrupt there, too."""
    replica, channel = replica_of(conversation.node, service), conversation.channel
    alone = not any(item.kind in (HEADER, LINK) for item in wrong)
    conversation.ask("get", service, generation=name, parts=True, alone=alone)
    answer = channel.read_frame()
    size = answer.get("list_bytes")
    if not isinstance(size, int) or not 0 < size <= LISTING_BYTES_MAX:
        raise IntegrityError(f"{conversation.peer.name} did not answer with a generation.")
    raws = read_headers(channel, answer, conversation.peer.name)
    listing = channel.read(size)
    granters = granters_at(replica, conversation.node.bundle)
    shown = read_shown(granters, conversation.peer, service, answer.get("grants"))
    documents = RepairDocuments(tuple(shown.grants.values()), tuple(shown.headers(raws)))
    header = next((header for header in documents.headers if header.id.name == name), None)
    if header is None:
        raise IntegrityError(f"{conversation.peer.name} offers generation {name} without its header.")
    entries = parse_list(listing, header)
    repairs = {name, *(item.name for item in wrong)}
    needed = tuple(it for it in documents.headers if it.id.name in repairs or not replica.knows(it.id))
    sealer.repair(service, replace(documents, headers=needed, lists={name: listing}))
    names = {item.name for item in wrong if item.is_blob}
    for entry, offset in replica.missing(entry for entry in entries if entry.sha256 in names):
        sealer.take(service, entry.sha256, _receive(channel, replica, entry, offset))
    channel.write_frame({"done": True})


def _receive(channel: Channel, replica: Replica, entry: Entry, offset: int) -> Path:
    """A blob from byte `offset` on, or all of it where the start that is here proves wrong: another peer sent that."""
    channel.write_frame({"want": [[entry.sha256, offset]]})
    try:
        return replica.receive(entry, offset, channel.read_some)
    except WrongStart:
        return _receive(channel, replica, entry, 0)
