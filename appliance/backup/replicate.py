"""A holder hands on what it holds to another, still blind: after a loss, or where a holder lacks what another has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.backup.chain import Sealed
from appliance.backup.fetch import read_held
from appliance.backup.node import Node
from appliance.backup.peers import Conversation, connect
from appliance.backup.push import send_needed
from appliance.backup.vault.store import HEADER, RECEIPT, Holding
from appliance.errors import IntegrityError
from appliance.trust.act import Act
from appliance.trust.receipt import read_receipt


@dataclass(frozen=True)
class Replicated:
    """What one replication did: names of generations taken there now, and bytes put on the wire."""

    peer: str
    taken: tuple[str, ...]
    bytes_sent: int


def replicate(
    node: Node,
    service: str,
    peer: str,
    acts: Sequence[Act] = (),
    on_generation: Callable[[str], None] = lambda name: None,
) -> Replicated:
    """Bring every generation of `service` held here to `peer`, newest first; what it holds already costs nothing."""
    holding = node.holding(service)
    with connect(node, peer) as conversation:
        there = set(conversation.head(service).held)
        names = [item.name for item in reversed(holding.stored()) if item.held and item.name not in there]
        for name in names:
            _relay(conversation, holding, service, name, acts)
            on_generation(name)
        sent = conversation.channel.bytes_sent
    node.journal.write("replicated", service=service, peer=peer, generations=len(names), bytes=sent)
    return Replicated(peer, tuple(names), sent)


def _relay(conversation: Conversation, holding: Holding, service: str, name: str, acts: Sequence[Act]) -> None:
    node = conversation.node
    sealed: Sealed = read_held(node, service, name)
    upto = [item.name for item in holding.stored() if item.name <= name]
    conversation.ask(
        "put-relayed",
        service,
        grants=[holding.grant(epoch).decode() for epoch in holding.epochs()],
        headers=[holding.read(item, HEADER).decode() for item in upto],
        acts=[act.document.raw.decode() for act in acts],
        receipt=holding.read(name, RECEIPT).decode(),
        age_seconds=node.ageing.now(),
        list_bytes=len(sealed.listing),
    )
    conversation.channel.write(sealed.listing)
    paths = {entry.sha256: holding.blob(entry.sha256) for entry in sealed.entries}
    receipt = read_receipt(send_needed(conversation, sealed, paths).encode(), conversation.peer.keys.sign)
    if receipt.generation != sealed.header.id or receipt.holder != conversation.peer.name:
        raise IntegrityError(f"the receipt of {conversation.peer.name} is not for generation {sealed.header.id}.")
