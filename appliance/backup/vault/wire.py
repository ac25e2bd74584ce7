"""The conversation between a node and a vault: frames of JSON and counted raw bytes over one pair of pipes.

A frame is a 4-byte big-endian length and that many bytes of JSON. Every answer is a frame; `{"refused": ...}` ends the
session. Both sides give up after `quiet_seconds` without a byte, so a stalled peer never holds a lock for ever.
"""

from __future__ import annotations

import json
import os
import select
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

from appliance.errors import (
    ApplianceError,
    Busy,
    Forbidden,
    IntegrityError,
    NoSpace,
    NotFound,
    Refused,
    Unreachable,
)
from appliance.units import MIB

PROTOCOL = 1
COMMAND = "appliance-vault"
FRAME_BYTES_MAX = 64 * MIB
QUIET_SECONDS = 120.0
PIECE = 256 * 1024

# The refusals a vault may send, by the name they have on the wire.
REFUSALS: Mapping[str, type[ApplianceError]] = {
    "busy": Busy,
    "forbidden": Forbidden,
    "integrity": IntegrityError,
    "not-found": NotFound,
    "no-space": NoSpace,
    "refused": Refused,
}


class Closed(Unreachable):
    """The other side ended the conversation or fell silent."""


class Channel:
    """Frames and bytes over two file descriptors."""

    def __init__(self, reader: int, writer: int, *, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._reader = reader
        self._writer = writer
        self._quiet = quiet_seconds
        self.bytes_sent = 0
        self.bytes_received = 0
        os.set_blocking(writer, False)  # a blocking write to a full pipe would outlast any bound of ours

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; raise Closed when they do not come."""
        pieces = []
        while size:
            piece = self.read_some(size)
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def read_some(self, size_max: int) -> bytes:
        """At least one byte and at most `size_max`, as they come."""
        ready, _, _ = select.select([self._reader], [], [], self._quiet)
        if not ready:
            raise Closed(f"the other side sent nothing for {self._quiet:.0f} s.")
        piece = os.read(self._reader, min(size_max, PIECE))
        if not piece:
            raise Closed("the connection ended.")
        self.bytes_received += len(piece)
        return piece

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        try:
            while view:
                _, ready, _ = select.select([], [self._writer], [], self._quiet)
                if not ready:
                    raise Closed(f"the other side took nothing for {self._quiet:.0f} s.")
                written = os.write(self._writer, view[:PIECE])
                self.bytes_sent += written
                view = view[written:]
        except BrokenPipeError as error:
            raise Closed("the connection ended.") from error

    def read_frame(self) -> dict[str, Any]:
        """The next frame; a refusal in it is raised as the error it names."""
        (length,) = struct.unpack(">I", self.read(4))
        if length > FRAME_BYTES_MAX:
            raise IntegrityError(f"a frame of {length} bytes is more than the {FRAME_BYTES_MAX} allowed.")
        try:
            frame = json.loads(self.read(length))
        except (ValueError, RecursionError) as error:
            raise IntegrityError("a frame is not readable JSON.") from error
        if not isinstance(frame, dict):
            raise IntegrityError("a frame is not an object.")
        if "refused" in frame:
            kind = REFUSALS.get(str(frame["refused"]), Refused)
            raise kind(str(frame.get("sentence", "the peer refused.")), remedy=str(frame.get("remedy", "")))
        return frame

    def write_frame(self, frame: Mapping[str, Any]) -> None:
        data = json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode()
        self.write(struct.pack(">I", len(data)) + data)

    def refuse(self, error: ApplianceError) -> None:
        """Tell the other side why, in its words."""
        kind = next((name for name, cls in REFUSALS.items() if isinstance(error, cls)), "refused")
        self.write_frame({"refused": kind, "sentence": error.what, "remedy": error.remedy})

    def send_file(self, file: BinaryIO, size: int) -> None:
        """Exactly `size` bytes from `file`'s position; raise IntegrityError when it holds fewer."""
        while size:
            piece = file.read(min(size, PIECE))
            if not piece:
                raise IntegrityError("a sealed file became shorter while it was sent.")
            self.write(piece)
            size -= len(piece)
