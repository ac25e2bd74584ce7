"""Say to all nodes that must hold a service that nothing changed, and keep their receipts.

Order matters: the number is durable before the word leaves, so that no two words have one; the word is kept for those
who show the age of the service once all took it, and until then the one before it counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.backup.peers.conversation import Conversation, Lines
from appliance.backup.still.heard import SAID, Said, said_file
from appliance.errors import IntegrityError
from appliance.node.handle import Node
from appliance.trust.generation import Header
from appliance.trust.keys import load_key
from appliance.trust.still.receipt import read_still_receipt
from appliance.trust.still.statement import Still, make_still, read_still


def say_still(node: Node, header: Header, time: str, targets: Sequence[str], lines: Lines) -> str:
    """Have all of `targets` take the word that at `time` the source was what the generation of `header` holds; return
    why one did not, "" when all did."""
    path, digest = said_file(node.service(header.service)), header.id.digest
    before = SAID.load_or(path, None)
    if before is None or before.generation != digest:
        before = Said(digest, 0)
    number = before.number + 1
    SAID.save(path, Said(digest, number, before.statement, before.receipts))
    key = load_key(node.signing_key)
    statement = make_still(key, header=header, number=number, time=time)
    said = read_still(statement, node.bundle.member(node.name).keys.sign)
    receipts, errors = lines.ask_all(targets, lambda conversation: _say(conversation, said))
    if errors:
        peer, error = next(iter(errors.items()))
        return f"{peer} does not take the word for it: {error.what}"
    SAID.save(path, Said(digest, number, statement.decode(), receipts))
    return ""


def _say(conversation: Conversation, said: Still) -> str:
    """The receipt of one peer."""
    conversation.ask("still", said.service, statement=said.document.raw.decode())
    receipt, peer = conversation.channel.read_frame().get("receipt"), conversation.peer
    if not isinstance(receipt, str):
        raise IntegrityError(f"{peer.name} gives no receipt.")
    read_still_receipt(receipt.encode(), peer.name, peer.keys.sign, said)
    return receipt
