"""How a real host asks a helper of its own: one short conversation over a socket, in the frames of `vault/wire.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from appliance.backup.vault.wire import Channel
from appliance.host.network import peer
from appliance.units import DAY

IDLE_SECONDS_MAX = DAY
"""To read a terabyte takes hours, and nothing is said meanwhile. A helper that ends is noticed at once."""


def ask(socket: Path, said: Mapping[str, Any], *, raw: bytes = b"", descriptors: Sequence[int] = ()) -> dict[str, Any]:
    """The answer of the helper that listens at `socket`; what it refuses is raised as the error it is.

    `raw` follows the frame; `descriptors` are open at the other end too.
    """
    with peer.connect(socket) as connection:
        peer.greet(connection, descriptors)
        channel = Channel(connection.fileno(), connection.fileno(), quiet_seconds=IDLE_SECONDS_MAX)
        channel.write_frame(said)
        channel.write(raw)
        return channel.read_frame()
