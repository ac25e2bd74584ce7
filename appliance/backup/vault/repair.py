"""Bring back what is rotten or gone from whichever other holder still has it: blobs by hash, the rest by signature.

Only that is fetched. It needs no key and no trust in the other holder: a blob proves itself by its hash, a list by the
hash in the signed header, a header by its folder's name and its grant. Our own receipt, if lost, is signed anew, and
the lock then starts anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.backup.node import Node
from appliance.backup.peers import Conversation, Lines
from appliance.backup.vault import damage
from appliance.backup.vault.damage import Damage
from appliance.backup.vault.evidence import LINK, read_stored_header
from appliance.backup.vault.limits import LISTING_BYTES_MAX
from appliance.backup.vault.receive import sign_receipt
from appliance.backup.vault.store import HEADER, LIST, RECEIPT, Holding
from appliance.backup.vault.turn import turn
from appliance.errors import ApplianceError, IntegrityError
from appliance.host.files import locked, write_atomic
from appliance.trust.generation import Header, epoch_of, parse_list, read_header
from appliance.trust.grant import Grant, read_grant


@dataclass(frozen=True)
class Repaired:
    """What came back, what is still wrong, and for each peer that could not help its reason."""

    service: str
    mended: tuple[Damage, ...]
    left: tuple[Damage, ...]
    failed: Mapping[str, str]


def repair(node: Node, service: str) -> Repaired:
    """Mend what is known to be wrong in this node's holding of `service`; raise Busy while a push is taken."""
    holding = node.holding(service)
    before = damage.known(holding)
    if not before:
        return Repaired(service, (), (), {})
    failed: dict[str, str] = {}
    with turn(holding, f"the vault's share of {service}"):
        left = _settle(node, service)
        for peer in other_holders(node, service):
            if left:
                try:
                    left = _mend_from(node, service, peer)
                except ApplianceError as error:
                    failed[peer] = error.what
                    left = _settle(node, service)
        _sign_lost_receipts(node, holding, left)
        left = _settle(node, service)
    node.journal.write("vault-repaired", service=service, mended=len(before) - len(left), left=len(left))
    return Repaired(service, tuple(sorted(set(before) - set(left))), left, failed)


def other_holders(node: Node, service: str) -> tuple[str, ...]:
    """The nodes that may hold `service` apart from this one, best first; without those that left the territory."""
    terms = node.bundle.terms(service)
    names = dict.fromkeys((*terms.holders, *terms.spares, *terms.standbys))
    return tuple(name for name in names if name != node.name and name in node.bundle.members)


def _settle(node: Node, service: str) -> tuple[Damage, ...]:
    holding = node.holding(service)
    with locked(holding.lock, what=f"the pool of {service}", wait=True):
        return damage.settle(node, holding)


def _mend_from(node: Node, service: str, peer: str) -> tuple[Damage, ...]:
    """Take what is wrong from `peer`, generation by generation, the newest first; return what is still wrong then."""
    holding = node.holding(service)
    left = damage.known(holding)
    with Lines(node) as lines:
        with lines.to(peer) as conversation:
            conversation.ask("head", service)
            head = conversation.channel.read_frame()
        offered = {str(name) for key in ("held", "damaged") for name in head.get(key) or ()}
        newest_first = sorted(offered, reverse=True)
        for name in newest_first:
            # Every answer brings all headers, so one is enough for those.
            papers = name == newest_first[0] and any(item.kind in (HEADER, LINK) for item in left)
            if papers or any(_concerns(holding, item, name) for item in left):
                with lines.to(peer) as conversation:
                    _take(conversation, service, name, left)
                left = _settle(node, service)
    return left


def _concerns(holding: Holding, item: Damage, name: str) -> bool:
    """Whether the files of generation `name` can mend `item`: it is its list, or our list of it names the blob."""
    if not item.is_blob:
        return item == Damage(LIST, name)
    stored = holding.find(name)
    return bool(stored and stored.listed and item.name.encode() in holding.read(name, LIST))


def _take(conversation: Conversation, service: str, name: str, wrong: Collection[Damage]) -> None:
    """One generation's papers, and of its blobs only those that are `wrong` here, one by one: any may be rotten too."""
    holding, channel = conversation.node.holding(service), conversation.channel
    conversation.ask("get", service, generation=name)
    answer = channel.read_frame()
    size = answer.get("list_bytes")
    if not isinstance(size, int) or not 0 < size <= LISTING_BYTES_MAX:
        raise IntegrityError(f"{conversation.peer.name} did not answer with a generation.")
    listing = channel.read(size)
    headers = _read_headers(conversation.node, service, answer)
    if name not in headers:
        raise IntegrityError(f"{conversation.peer.name} offers generation {name} without its header.")
    entries = parse_list(listing, headers[name])
    if Damage(LIST, name) in wrong:
        write_atomic(holding.path(name, LIST), listing, mode=0o440)
    _mend_headers(holding, headers, wrong)
    names = {item.name for item in wrong if item.is_blob}
    for entry, offset in holding.missing(entry for entry in entries if entry.sha256 in names):
        channel.write_frame({"want": [[entry.sha256, offset]]})
        holding.receive(entry, offset, channel.read_some)
    channel.write_frame({"done": True})


def _read_headers(node: Node, service: str, answer: Mapping[str, Any]) -> dict[str, Header]:
    """The headers of an answer by folder name, each checked up to the territory key; grants we lack are kept."""
    try:
        grants = [read_grant(raw.encode(), node.bundle.territory_key) for raw in answer["grants"]]
        by_epoch = {grant.epoch: grant for grant in grants if grant.service == service}
        raws = [raw.encode() for raw in answer["headers"]]
        headers = [read_header(raw, by_epoch[epoch_of(raw)].writer_key) for raw in raws]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError("a peer's answer is not a generation.") from error
    _mend_grants(node, service, by_epoch)
    return {header.id.name: header for header in headers if header.service == service}


def _mend_grants(node: Node, service: str, grants: Mapping[int, Grant]) -> None:
    holding = node.holding(service)
    for epoch, grant in grants.items():
        if holding.add_grant(epoch, grant.document.raw):
            continue
        try:
            read_grant(holding.grant(epoch), node.bundle.territory_key)
        except ApplianceError:
            write_atomic(holding.grants / f"{epoch:05d}", grant.document.raw, mode=0o440)


def _mend_headers(holding: Holding, headers: Mapping[str, Header], wrong: Collection[Damage]) -> None:
    """Write headers anew where they are wrong here, and add those missing before one."""
    by_digest = {header.id.digest: header for header in headers.values()}
    for item in wrong:
        header = headers.get(item.name)
        if header and item.kind == HEADER:
            write_atomic(holding.path(item.name, HEADER), header.document.raw, mode=0o440)
        before = by_digest.get(header.previous) if header and item.kind == LINK else None
        while before and not holding.knows(before.id):
            holding.add_header(before.id, before.document.raw)
            before = by_digest.get(before.previous)


def _sign_lost_receipts(node: Node, holding: Holding, left: Collection[Damage]) -> None:
    for item in left:
        if item.kind == RECEIPT:
            header = read_stored_header(node, holding, item.name)
            write_atomic(holding.path(item.name, RECEIPT), sign_receipt(node, header), mode=0o440)
