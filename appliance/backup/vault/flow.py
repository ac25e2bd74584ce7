"""How far the sender of a push runs ahead: the vault says what it has taken, and little more than that is under way.

A line that breaks loses what ssh and the kernel still hold of it, up to 4 MiB if nobody minds: a vault that makes a
file durable does not read meanwhile. So the sender stops at UNACKNOWLEDGED_BYTES_MAX, which bounds by design what a cut
makes it send again. ssh's own window cannot be set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

from appliance.backup.vault.wire import Channel
from appliance.errors import IntegrityError
from appliance.units import KIB

ACKNOWLEDGED_AT_ONCE_BYTES = 256 * KIB
UNACKNOWLEDGED_BYTES_MAX = 960 * KIB
"""With the greeting of a second session less than 1 MiB; over a line of 40 ms still 190 Mbit/s."""


class Taking:
    """The vault's side, for all files of one push: reads from `channel` and acknowledges what its caller has taken.

    Only when the request asks for it: who never listens while it sends would be stopped by answers nobody reads.
    """

    def __init__(self, channel: Channel, *, acknowledge: bool) -> None:
        self._channel = channel
        self._acknowledge = acknowledge
        self._unsaid = 0

    def read_some(self, size_max: int) -> bytes:
        """As `Channel.read_some`. A caller that asks for more has written what came before."""
        if self._acknowledge and self._unsaid >= ACKNOWLEDGED_AT_ONCE_BYTES:
            self._channel.write_frame({"got": self._unsaid})
            self._unsaid = 0
        piece = self._channel.read_some(size_max)
        self._unsaid += len(piece)
        return piece


class Sending:
    """The sender's side, for all files of one push."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._unacknowledged = 0

    def send(self, file: BinaryIO, size: int) -> None:
        """As `Channel.send_file`, waiting where the vault is too far behind; raise what it refuses meanwhile."""
        while size:
            piece = min(size, ACKNOWLEDGED_AT_ONCE_BYTES)
            while self._unacknowledged + piece > UNACKNOWLEDGED_BYTES_MAX:
                if not self.hear(self._channel.read_frame()):
                    raise IntegrityError("the vault answered while a file was sent, and accepted nothing of it.")
            self._channel.send_file(file, piece)
            self._unacknowledged += piece
            size -= piece

    def hear(self, frame: Mapping[str, Any]) -> int:
        """Note what `frame` acknowledges; how many bytes."""
        got = frame.get("got", 0)
        if not isinstance(got, int) or not 0 <= got <= self._unacknowledged:
            raise IntegrityError("the vault claims to have accepted data that was not sent.")
        self._unacknowledged -= got
        return got
