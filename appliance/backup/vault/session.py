"""One conversation with one caller. The caller's name comes from the forced command, so from the key it logged in with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from appliance.backup.node import Node
from appliance.backup.vault import access, give, receive
from appliance.backup.vault.call import Call
from appliance.backup.vault.offer import newest_grant
from appliance.backup.vault.wire import PROTOCOL, Channel, Closed
from appliance.errors import ApplianceError, Refused
from appliance.trust.signed import NAME

VERBS: Mapping[str, Callable[[Call], None]] = {
    "head": give.head,
    "put": receive.put,
    "put-relayed": receive.put_relayed,
    "prove": give.prove,
    "get": give.get,
    "get-own": give.get,
}


def serve(node: Node, caller: str, channel: Channel) -> int:
    """Answer the caller until it closes; 0 at its end, else the exit code of the refusal that ended it."""
    try:
        while True:
            _answer(node, caller, channel, channel.read_frame())
    except Closed:
        return 0
    except ApplianceError as error:
        node.journal.write("vault-refused", caller=caller, sentence=str(error))
        channel.refuse(error)
        return error.exit_code


def _answer(node: Node, caller: str, channel: Channel, request: Mapping[str, Any]) -> None:
    if request.get("appliance") != PROTOCOL:
        raise Refused(f"this vault speaks protocol {PROTOCOL}.", remedy="Upgrade the older of the two nodes.")
    verb, service = str(request.get("verb")), str(request.get("service"))
    if verb not in VERBS or not NAME.fullmatch(service):
        raise Refused("this is not a request that a vault knows.", remedy="The verbs are: " + ", ".join(VERBS) + ".")
    terms = node.bundle.terms(service)
    holding = node.holding(service)
    access.check(node.bundle, terms, caller, newest_grant(holding, node.bundle), verb)
    VERBS[verb](Call(node, caller, channel, terms, holding, request))
