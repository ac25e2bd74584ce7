"""A holder hands on what it holds to another, still blind: after a loss, or where a holder lacks what another has.

It is always the one that has a generation who pushes it: the one that lacks it then checks the push with the same
code, the same limits and the same fence as any other, and nothing has to be checked twice in two ways.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from appliance.backup.chain.chain import Sealed
from appliance.backup.chain.grants import granters_of
from appliance.backup.peers.conversation import Conversation, Head, connect, read_head
from appliance.backup.peers.fetch import read_held
from appliance.backup.peers.header_batches import send_ahead
from appliance.backup.peers.last_seen import load_last_seen
from appliance.backup.peers.push import send_needed
from appliance.backup.peers.readers import check_reads
from appliance.backup.peers.shown import read_names
from appliance.backup.vault.header_parts import previous_by_name
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import HEADER, RECEIPT, Replica
from appliance.errors import ApplianceError, IntegrityError
from appliance.node.handle import Node
from appliance.trust.act import Act
from appliance.trust.receipt import read_receipt


@dataclass(frozen=True)
class Replicated:
    """The result of one replication: names of generations taken there now, and bytes put on the wire."""

    peer: str
    taken: tuple[str, ...]
    bytes_sent: int


@dataclass(frozen=True)
class ReplicaHead:
    """A holder's head with what only another holder asks: what waits for repair there, what retention let go there."""

    head: Head
    damaged: frozenset[str]
    pruned: frozenset[str]

    def lacks(self, name: str) -> bool:
        """Whether generation `name` should be brought there; what it let go by its own rules is not brought back."""
        return name not in self.head.held and name not in self.pruned


def ask_head(conversation: Conversation, service: str) -> ReplicaHead:
    """Return what a replica node knows, holds, repairs and let go of `service`; raise IntegrityError for an invalid
    answer."""
    conversation.ask("head", service)
    frame = conversation.channel.read_frame()
    head = read_head(frame, conversation.peer, service, granters_of(conversation.node, service))
    damaged, pruned = (read_names(conversation.peer.name, frame.get(key, [])) for key in ("damaged", "thinned"))
    return ReplicaHead(head, frozenset(damaged), frozenset(pruned))


def replicate(
    node: Node,
    service: str,
    peer: str,
    acts: Sequence[Act] = (),
    on_generation: Callable[[str], None] = lambda name: None,
) -> Replicated:
    """Bring every generation of `service` held here to `peer`, newest first; what it holds already costs nothing."""
    replica = replica_of(node, service)
    with connect(node, peer) as conversation:
        there = ask_head(conversation, service)
        chain = _Headers(replica)
        sent = chain.known_with({tip.id.digest for tip in there.head.tips})
        names = [item.name for item in reversed(replica.listed()) if item.held and there.lacks(item.name)]
        for name in names:
            way = chain.upto(name, sent)
            headers = tuple(chain.read(way))
            check_reads(peer, there.head.reads, headers)
            _relay(conversation, replica, service, name, headers, acts)
            sent |= {*way}
            on_generation(name)
        wire_bytes = conversation.channel.bytes_sent
    node.journal.write("replicated", service=service, peer=peer, generations=len(names), bytes=wire_bytes)
    return Replicated(peer, tuple(names), wire_bytes)


class _Headers:
    """The headers held here and the way each comes from, by their names; a peer is sent only those it does not know
    yet, and only those are read."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._previous = previous_by_name(replica)
        self._names = {name[-16:]: name for name in self._previous}

    def known_with(self, tips: Collection[str]) -> set[str]:
        """The names of what is known to somebody who knows the digests `tips`: all before them."""
        return {name for tip in tips for name in self._way(self._names.get(tip[:16], ""), ())}

    def upto(self, name: str, known: Collection[str]) -> list[str]:
        """The names, oldest first, that lead to generation `name` from what is `known`; always itself."""
        return self._way(name, known)[::-1] or [name]

    def read(self, names: Iterable[str]) -> Iterator[bytes]:
        """Their headers; the scrub reports one that cannot be read, and the peer will say what it misses."""
        for name in names:
            with suppress(ApplianceError):
                yield self._replica.read(name, HEADER)

    def _way(self, name: str, known: Collection[str]) -> list[str]:
        way = []
        while name in self._previous and name not in known:
            way.append(name)
            name = self._names.get(self._previous[name], "")
        return way


def _relay(
    conversation: Conversation,
    replica: Replica,
    service: str,
    name: str,
    headers: Sequence[bytes],
    acts: Sequence[Act],
) -> None:
    node = conversation.node
    sealed: Sealed = read_held(node, service, name)
    details = {
        "grants": [replica.grant(epoch).decode() for epoch in replica.epochs()],
        "acts": [act.document.raw.decode() for act in acts],
        "absences": list(load_last_seen(node, service).statements),
        "receipt": replica.read(name, RECEIPT).decode(),
        "age_seconds": node.ageing.now(),
    }
    rest = send_ahead(conversation, "put-relayed", service, [raw.decode() for raw in headers], **details)
    size = len(sealed.listing)
    conversation.ask("put-relayed", service, **details, headers=list(rest), list_bytes=size, acknowledge=True)
    conversation.channel.write(sealed.listing)
    paths = {entry.sha256: replica.blob(entry.sha256) for entry in sealed.entries}
    receipt = read_receipt(send_needed(conversation, sealed, paths).encode(), conversation.peer.keys.sign)
    if receipt.generation != sealed.header.id or receipt.holder != conversation.peer.name:
        raise IntegrityError(f"the receipt of {conversation.peer.name} is not for generation {sealed.header.id}.")
