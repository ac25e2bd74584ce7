"""A node that is no replica node any more gives up all that is past its lock, once the present replica nodes have it.

Each has to show, under its own signature and for a whole lock, that it holds something as new as the newest here.

Invariant: each generation that goes here is held, or was let go by its own rules, at every present replica node; these
are as many in distinct failure domains as the service was promised, without the writer and without this node. While one
of the service is lost, nothing goes.

    sight/SERVICE.shown   by peer: its receipt for what is as new as the newest here, when by this node's ageing clock
                          it was first shown, and which generations held here the peer has too

A generation that was given up is no more than known here: it comes again where this node has to hold the service once
more.

It is the agent's word for how long ago that was. An attacker who forges it takes away a copy older than its lock that
others have.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.peers.last_seen import absent_nodes, declared_lost
from appliance.backup.peers.targets import targets
from appliance.backup.vault.offer import newest_grant
from appliance.backup.vault.store import Replica
from appliance.errors import ApplianceError
from appliance.host.files import make_private_folder
from appliance.host.records import Record
from appliance.node.acts import load_acts
from appliance.node.handle import Node
from appliance.trust.bundle import Bundle
from appliance.trust.receipt import Receipt, read_receipt


@dataclass(frozen=True)
class ShownReceipt:
    """`receipt` as signed, first shown at `age_seconds` of this node's ageing clock; `has`: names of generations.

    Raise ValueError for text that UTF-8 cannot encode.
    """

    receipt: str
    age_seconds: int
    has: tuple[str, ...]

    def __post_init__(self) -> None:
        self.receipt.encode()


SHOWN_RECEIPTS = Record(dict[str, ShownReceipt], mode=0o644)


@dataclass(frozen=True)
class CheckedReceipt:
    """A present holder's receipt that was checked: it is for `generation`, shown `since_seconds` ago."""

    generation: str
    since_seconds: int
    has: Collection[str]


def given_up(
    held: Collection[str],
    present: Collection[str],
    receipts: Mapping[str, CheckedReceipt],
    lock_seconds: int,
) -> set[str]:
    """Which of the generations `held` here are given up, their own locks aside, when the `present` holders showed
    `receipts`. Pure.
    """
    newest = max(held, default="")
    if not present or not all(_shows(receipts.get(peer), newest, lock_seconds) for peer in present):
        return set()
    return {name for name in held if all(name in receipts[peer].has for peer in present)}


def _shows(it: CheckedReceipt | None, newest: str, lock_seconds: int) -> bool:
    return it is not None and it.generation >= newest and it.since_seconds >= lock_seconds


def generations_to_give_up(node: Node, service: str, replica: Replica) -> set[str]:
    """The generations held here that this node may give up now, their own locks aside; none where it must hold them, or
    a node is lost."""
    present = _present(node, service, replica)
    lock_seconds = node.bundle.last_terms(service).service.lock_seconds if present else 0
    held = [item.name for item in replica.listed() if item.held]
    return given_up(held, present, _checked_receipts(node, service, present), lock_seconds)


def required_nodes(node: Node, service: str, replica: Replica) -> frozenset[str]:
    """The nodes that have to hold what the writer makes now: its replica nodes, and the spares for one that is lost.
    All others may give up what they have."""
    aims = targets(node.bundle, service, writer_of(node, service, replica), _lost(node, service))
    return frozenset((*node.bundle.terms(service).replica_nodes, *(aim.node for aim in aims)))


def writer_of(node: Node, service: str, replica: Replica) -> str:
    """The node that writes the service, by the newest grant known here; its origin before the first."""
    grant = newest_grant(replica, node.bundle)
    return grant.writer if grant else node.bundle.terms(service).origin


def _lost(node: Node, service: str) -> frozenset[str]:
    acts = load_acts(node.layout.acts, node.bundle, "lost")
    return declared_lost(node, service, acts) | absent_nodes(node, service) | node.bundle.revoked_nodes


def _present(node: Node, service: str, replica: Replica) -> tuple[str, ...]:
    if service not in node.bundle.territory.services:
        return ()
    return successor_nodes(
        node.bundle, service, node.name, writer=writer_of(node, service, replica), lost=_lost(node, service)
    )


def successor_nodes(bundle: Bundle, service: str, here: str, *, writer: str, lost: Collection[str]) -> tuple[str, ...]:
    """The nodes that hold `service` in the place of the node `here`; none unless they are as many as were promised.
    Pure."""
    terms = bundle.terms(service)
    aims = tuple(aim.node for aim in targets(bundle, service, writer, ()))
    bound_now = {writer, terms.origin, *terms.replica_nodes, *aims}
    if here in bound_now or not bound_now.isdisjoint(lost):
        return ()
    return aims if len(bundle.counted(writer, aims)) >= terms.service.copies else ()


def _checked_receipts(node: Node, service: str, peers: Collection[str]) -> dict[str, CheckedReceipt]:
    """Return what `peers` showed, as far as their present keys signed it; a moment that is still to come counts as
    now."""
    shown, now = load_shown_receipts(node, service), node.ageing.now()
    checked = {}
    for peer in peers:
        if peer in shown and (receipt := _checked(node, service, peer, shown[peer].receipt)):
            since = max(0, now - shown[peer].age_seconds)
            checked[peer] = CheckedReceipt(receipt.generation.name, since, frozenset(shown[peer].has))
    return checked


def note_shown_receipts(
    node: Node, service: str, held: Collection[str], heads: Mapping[str, tuple[Receipt | None, Collection[str]]]
) -> None:
    """Keep what the peers that answered show for the generations `held` here: each its newest receipt and what it has.

    The first receipt for something as new as the newest here stays, with its moment, until the peer shows less.
    """
    newest, before, now = max(held, default=""), load_shown_receipts(node, service), node.ageing.now()
    kept = dict(before)
    for peer, (receipt, has) in heads.items():
        kept.pop(peer, None)
        if receipt is None or receipt.generation.name < newest:
            continue
        first, shown = before.get(peer), receipt.generation.name
        known = _checked(node, service, peer, first.receipt) if first else None
        if not first or not known or not still_shows(known.generation.name, shown, newest, first.age_seconds, now):
            first = ShownReceipt(receipt.document.raw.decode(), now, ())
        kept[peer] = ShownReceipt(first.receipt, first.age_seconds, tuple(name for name in held if name in has))
    path = _path(node, service)
    if kept != before:
        make_private_folder(path.parent)
        SHOWN_RECEIPTS.save(path, kept)


def still_shows(first: str, shown: str, newest: str, since_age_seconds: int, now_age_seconds: int) -> bool:
    """Whether a peer that shows generation `shown` has shown something as new as the `newest` here since it showed the
    `first`. Pure."""
    return newest <= first <= shown and since_age_seconds <= now_age_seconds


def load_shown_receipts(node: Node, service: str) -> dict[str, ShownReceipt]:
    """By peer; nothing of a file that cannot be read: then the time begins again."""
    return SHOWN_RECEIPTS.load_or(_path(node, service), {})


def _checked(node: Node, service: str, peer: str, raw: str) -> Receipt | None:
    try:
        receipt = read_receipt(raw.encode(), node.bundle.member(peer).keys.sign)
    except ApplianceError:
        return None
    return receipt if (receipt.holder, receipt.service) == (peer, service) else None


def _path(node: Node, service: str) -> Path:
    return node.layout.last_seen / f"{service}.shown"
