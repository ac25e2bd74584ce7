"""A session on a real host: systemd starts it for one connection, under an account that owns nothing sealed.

The connection comes from a caller's own account, by sshd's forced command (`connector.py`), and brings the conversation
with it. The kernel names that account, and nothing that anybody writes does. The last byte that goes back is the exit
code.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from appliance.backup.vault.session import open_channel, serve
from appliance.backup.vault.watch import watch
from appliance.errors import ApplianceError, Forbidden
from appliance.host.network import peer
from appliance.host.network.ssh import widen
from appliance.node.handle import open_node

PREFIX = "vault-"
GREETING_SECONDS_MAX = 10.0


def answer(state: Path) -> int:
    """Serve the conversation that comes with the connection systemd handed over; 0, however it ends for the caller."""
    with socket.socket(fileno=peer.FIRST) as connection:
        connection.settimeout(GREETING_SECONDS_MAX)
        descriptors = peer.greeted(connection, 2)
        if len(descriptors) != 2:
            raise Forbidden("a conversation needs two open files, and none were passed.")
        code = _serve(state, connection, *descriptors)
        with contextlib.suppress(OSError):  # a caller whose line broke has gone
            connection.sendall(bytes([code]))
    return 0


def _serve(state: Path, connection: socket.socket, reader: int, writer: int) -> int:
    for pipe in (reader, writer):
        widen(pipe)
    channel = open_channel(reader, writer)
    try:
        caller = caller_of(peer.account_name(peer.peer_uid(connection)))
        node = open_node(state)
        watch(node, caller)
        return serve(node, caller, channel, slots=Path(os.environ["RUNTIME_DIRECTORY"]))
    except ApplianceError as error:
        channel.refuse(error)
        return error.exit_code
    finally:
        for pipe in (reader, writer):
            os.close(pipe)


def caller_of(account: str) -> str:
    """The node that enters by `account`; raise Forbidden for any other account of this machine."""
    if not account.startswith(PREFIX):
        raise Forbidden(
            f'the account "{account}" does not belong to another node.', remedy=f"Other nodes log in as {PREFIX}NAME."
        )
    return account.removeprefix(PREFIX)
