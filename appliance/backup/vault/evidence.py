"""The evidence that a generation known here must give again: its header and parent, its list, our own receipt."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from appliance.backup.vault.store import HEADER, LIST, RECEIPT, Replica
from appliance.backup.vault.stored_grants import stored_grant
from appliance.errors import ApplianceError, IntegrityError
from appliance.node.handle import Node
from appliance.trust.generation import NO_PARENT, Entry, Header, epoch_of, parse_list, read_header
from appliance.trust.receipt import Receipt, read_receipt

LINK = "link"


@dataclass(frozen=True)
class Evidence:
    """One generation folder, read and checked; `wrong` says why, by file or LINK, where something does not hold.

    `entries` is None when only the header is known here, and when the list is wrong.
    """

    header: Header | None
    entries: tuple[Entry, ...] | None
    wrong: Mapping[str, str]


def read_evidence(node: Node, replica: Replica, name: str, known: Container[str] | None = None) -> Evidence:
    """Return what the folder of generation `name` proves. Nothing is raised for what is wrong in it: a scrub goes on.

    `known` are the last parts of all folder names here, for a caller that asks for many.
    """
    wrong: dict[str, str] = {}
    header = entries = None
    stored = replica.find(name)
    try:
        header = read_stored_header(node, replica, name)
        if not _parent_is_here(header, short_digests(replica) if known is None else known):
            wrong[LINK] = "the header before it is not here."
    except ApplianceError as error:
        wrong[HEADER] = error.what
    try:
        entries = parse_list(replica.read(name, LIST), header) if stored and stored.listed else None
    except ApplianceError as error:
        wrong[LIST] = error.what
    try:
        if stored and (stored.listed or stored.pruned):
            read_own_receipt(node, replica, name)
    except ApplianceError as error:
        wrong[RECEIPT] = error.what
    return Evidence(header, entries, wrong)


def read_stored_header(node: Node, replica: Replica, name: str) -> Header:
    """The header of generation `name`, its signature and its grant's checked; raise IntegrityError, Refused or
    NotFound."""
    raw = replica.read(name, HEADER)
    grant = stored_grant(replica, node.bundle, epoch_of(raw))
    header = read_header(raw, grant.writer_key)
    if header.id.name != name or header.service != grant.service:
        raise IntegrityError(f"the header of {name} belongs to another generation.")
    return header


def read_own_receipt(node: Node, replica: Replica, name: str) -> Receipt:
    """The receipt that this node signed for generation `name`: since when, by its own ageing clock, it is locked."""
    receipt = read_receipt(replica.read(name, RECEIPT), node.bundle.member(node.name).keys.sign)
    if receipt.generation.name != name:
        raise IntegrityError(f"the receipt of {name} belongs to another generation.")
    return receipt


def short_digests(replica: Replica) -> frozenset[str]:
    """The end of each generation's folder name: the start of its header's digest."""
    return frozenset(name[-16:] for name in replica.names())


def _parent_is_here(header: Header, known: Container[str]) -> bool:
    return header.previous == NO_PARENT or header.previous[:16] in known
