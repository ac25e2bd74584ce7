"""The conversation between a node and a vault: frames of JSON and counted raw bytes over one pair of pipes.

A frame is a 4-byte big-endian length and that many bytes of JSON. Every answer is a frame; `{"refused": ...}` ends
the session. Both sides give up on an other side that moves less than SLOWEST_BYTES_PER_SECOND for `quiet_seconds`, so
neither a stalled peer nor one that sends a byte a minute holds a lock for ever.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from appliance import strict_json
from appliance.errors import (
    ApplianceError,
    Busy,
    Forbidden,
    IntegrityError,
    NoSpace,
    NotFound,
    Postponed,
    Refused,
    Unreachable,
)
from appliance.node.handle import QUIET_SECONDS
from appliance.units import DAY, MIB

PROTOCOL = 1
COMMAND = "appliance-vault"
FRAME_BYTES_MAX = 64 * MIB
BYTES_PER_PART_MIN = 16
SLOWEST_BYTES_PER_SECOND = 1024
SENTENCE_MAX = 500
HEARD_MAX = 100
"""Frames that are read in search of a refusal, of a vault that went: one that never ends has none."""
PIECE = 256 * 1024

# The refusals a vault may send, by the name they have on the wire; the last one stands for all others.
REFUSALS: Mapping[str, type[ApplianceError]] = {
    "busy": Busy,
    "forbidden": Forbidden,
    "integrity": IntegrityError,
    "not-found": NotFound,
    "no-space": NoSpace,
    "postponed": Postponed,
    "refused": Refused,
    "failed": ApplianceError,
}
WAITS: Mapping[str, int] = {"seconds": 2 * DAY, "whole_seconds": 3650 * DAY}
"""The fields of a postponement in seconds, and the most that is believed of each."""


class Closed(Unreachable):
    """The other side ended the conversation or fell silent."""


class NoFrame(IntegrityError):
    """The bytes that came are not a frame."""


class Channel:
    """Frames and bytes over two file descriptors."""

    def __init__(
        self,
        reader: int,
        writer: int,
        *,
        quiet_seconds: float = QUIET_SECONDS,
        frame_bytes_max: int = FRAME_BYTES_MAX,
        before_send: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._quiet = self._patience = quiet_seconds
        self._frame_bytes_max = frame_bytes_max
        self._before_send = before_send
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
        self._wait([self._reader], [])
        piece = os.read(self._reader, min(size_max, PIECE))
        if not piece:
            raise Closed("the connection ended.")
        self.bytes_received += len(piece)
        self._moved(len(piece))
        return piece

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        try:
            while view:
                self._wait([], [self._writer])
                written = os.write(self._writer, view[:PIECE])
                self.bytes_sent += written
                self._moved(written)
                view = view[written:]
        except BrokenPipeError as error:
            self._hear_why()
            raise Closed("the connection ended.") from error

    def _hear_why(self) -> None:
        """Raise the refusal that the other side sent before it went: we were still sending and did not listen.

        To a vault that acknowledges, it is bytes of a blob that came last: they say nothing.
        """
        with contextlib.suppress(Closed, NoFrame):
            for _ in range(HEARD_MAX):
                self.read_frame()

    def _wait(self, readers: list[int], writers: list[int]) -> None:
        """Wait until one is ready; what is waited is taken from our patience, and only moving bytes give it back."""
        started = time.monotonic()
        readable, writable, _ = select.select(readers, writers, [], max(0.0, self._patience))
        self._patience -= time.monotonic() - started
        if self._patience <= 0 or not (readable or writable):
            raise Closed(f"the other side was silent, or slower than 1 KiB/s, for {self._quiet:.0f} s.")

    def _moved(self, size: int) -> None:
        self._patience = min(self._quiet, self._patience + size / SLOWEST_BYTES_PER_SECOND)

    def read_frame(self) -> dict[str, Any]:
        """The next frame; a refusal in it is raised as the error it names.

        Between a request and the next both sides may rest, so each frame is waited for with all our patience.
        """
        self._patience = self._quiet
        (length,) = struct.unpack(">I", self.read(4))
        if length > self._frame_bytes_max:
            raise NoFrame(f"a frame of {length} bytes is more than the {self._frame_bytes_max} allowed.")
        frame = _parse(self.read(length), parts_max=self._frame_bytes_max // BYTES_PER_PART_MIN)
        if not isinstance(frame, dict):
            raise NoFrame("a frame is not an object.")
        if "refused" in frame:
            raise _refusal(frame)
        return frame

    def write_frame(self, frame: Mapping[str, Any]) -> None:
        data = json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode()
        self.write(struct.pack(">I", len(data)) + data)

    def refuse(self, error: ApplianceError) -> None:
        """Tell the other side why, unless it has gone."""
        kind = next(name for name, cls in REFUSALS.items() if isinstance(error, cls))
        waits = {name: getattr(error, name) for name in WAITS if isinstance(error, Postponed)}
        with contextlib.suppress(Closed):
            self.write_frame({"refused": kind, "sentence": error.what, "remedy": error.remedy, **waits})

    def send_file(self, file: BinaryIO, size: int) -> None:
        """Exactly `size` bytes from `file`'s position; raise IntegrityError when it holds fewer.

        The kernel puts the file's own pages into the pipe, nothing is copied through this process. Were they changed on
        the way, their hash would tell at the other end, as it does for any other byte.
        """
        while size:
            self._before_send(min(size, PIECE))
            moved = self._splice(file.fileno(), min(size, PIECE))
            if not moved:
                raise IntegrityError("a sealed file became shorter while it was sent.")
            size -= moved

    def _splice(self, file: int, size: int) -> int:
        """Move at most `size` bytes of `file` on; how many, 0 at its end."""
        self._wait([], [self._writer])
        try:
            moved = os.splice(file, self._writer, size, flags=os.SPLICE_F_NONBLOCK)
        except BrokenPipeError as error:
            self._hear_why()
            raise Closed("the connection ended.") from error
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            piece = os.read(file, size)  # a file system that cannot: it goes through our hands
            self.write(piece)
            return len(piece)
        self.bytes_sent += moved
        self._moved(moved)
        return moved


def _refusal(frame: Mapping[str, Any]) -> ApplianceError:
    """The error that a refusal names; a peer cannot make a writer wait for longer than WAITS."""
    kind = REFUSALS.get(str(frame["refused"]), Refused)
    sentence, remedy = (str(frame.get(name, ""))[:SENTENCE_MAX] for name in ("sentence", "remedy"))
    error = kind(sentence or "the peer refused.", remedy=remedy)
    if isinstance(error, Postponed):
        error.seconds, error.whole_seconds = (_bounded(frame.get(name), most) for name, most in WAITS.items())
    return error


def _bounded(said: object, most: int) -> int:
    return max(0, min(said, most)) if type(said) is int else 0


def _parse(data: bytes, *, parts_max: int) -> Any:
    """JSON of at most `parts_max` parts: sixty-four megabytes of "[],[]," would fill the memory of a small machine."""
    if data.count(b",") + data.count(b"[") + data.count(b"{") > parts_max:
        raise NoFrame("a frame has more parts than any request or answer.")
    try:
        return strict_json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NoFrame("a frame is not readable JSON.") from error
