"""The checker of a real host: one check for one connection, under an account that owns nothing and sees no key.

    python3 -m appliance.backup.vault.sealing.checker_server STATE   with the connection from systemd

borg reads what another node sealed, which may be an attacker's. A borg that turns against its caller finds here what
is held, which it may read and not change, a folder for its own index, and no network. Only the node's own account may
ask, the owner of STATE.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from dataclasses import asdict
from pathlib import Path

from appliance.backup.vault.sealing.view import ViewChecked, check_here
from appliance.backup.vault.wire import Channel
from appliance.errors import ApplianceError, Forbidden, IntegrityError
from appliance.host.files import locked
from appliance.host.network import peer
from appliance.node.handle import open_node

GREETING_SECONDS_MAX = 10.0
FAILED = ApplianceError(
    "the checker failed at this request.", remedy="The machine's journal says why; try again later."
)


def answer(connection: socket.socket, state: Path, place: Path) -> None:
    """Do the one check that is asked over `connection`, with its view below `place`, and tell how it went."""
    connection.settimeout(GREETING_SECONDS_MAX)
    for descriptor in peer.greeted(connection, 1):
        os.close(descriptor)
    channel = Channel(connection.fileno(), connection.fileno(), quiet_seconds=GREETING_SECONDS_MAX)
    try:
        channel.write_frame(asdict(_check(peer.peer_uid(connection), channel, state, place)))
    except ApplianceError as error:
        channel.refuse(error)
    except Exception as error:  # the edge of the process: who asks gets a sentence
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        channel.refuse(FAILED)


def _check(giver: int, channel: Channel, state: Path, place: Path) -> ViewChecked:
    frame = channel.read_frame()
    if giver != state.stat().st_uid:
        raise Forbidden(f"the account {giver} may not request checks.")
    service, generation = frame.get("service"), frame.get("generation")
    if not isinstance(service, str) or not (generation is None or isinstance(generation, str)):
        raise IntegrityError("the request must name a service and, if not its newest, a generation.")
    node = open_node(state)
    node.bundle.last_terms(service)  # no other name leads to a folder
    with locked(place / "turn", what="the checker", wait=True):  # one at a time: each reads as fast as the disk does
        for left in place.glob("view-*"):  # by a check that was killed
            shutil.rmtree(left)
        return check_here(node, service, generation, place)


def main() -> None:
    with socket.socket(fileno=peer.FIRST) as connection:
        answer(connection, Path(sys.argv[1]), Path(os.environ["CACHE_DIRECTORY"]))


if __name__ == "__main__":
    main()
