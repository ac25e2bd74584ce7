"""Ask for a preview: the unit of a host behind its socket, else a process of our own. Both get the file, no path."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import appliance
from appliance.errors import ApplianceError, IntegrityError
from appliance.host.command import CommandTimeout, run
from appliance.host.network.peer import connect
from appliance.restore.preview.model import ANSWER_BYTES_MAX, FILE_BYTES_MAX, Asked, Preview, from_wire
from appliance.units import MIB

SOCKET = Path("/run/appliance/preview.sock")
SECONDS_MAX = 25.0
BUSY_SECONDS_MAX, BUSY_PAUSE_SECONDS = 20.0, 0.5
"""For how long, and how often, a unit is asked that has as many callers as it takes."""
READ_SIZE = MIB


@dataclass(frozen=True)
class Previewer:
    """`socket` is the unit's socket; where there is none, as in process mode, a worker is started."""

    socket: Path = SOCKET
    seconds_max: float = SECONDS_MAX
    busy_seconds_max: float = BUSY_SECONDS_MAX

    def preview(self, file: BinaryIO, asked: Asked = Asked()) -> Preview:  # noqa: B008 - it is frozen
        """The preview of the open `file`; whatever goes wrong is a preview of kind "none" that says why."""
        if os.fstat(file.fileno()).st_size > FILE_BYTES_MAX:
            return Preview("none", "too-large")
        request = json.dumps(asdict(asked)).encode() + b"\n" + file.read(FILE_BYTES_MAX)
        try:
            raw = self._by_socket(request) if self.socket.exists() else self._by_process(request)
            return from_wire(raw) if raw else Preview("none", "too-slow")  # killed at a limit, it says nothing
        except (CommandTimeout, TimeoutError):
            return Preview("none", "too-slow")
        except ConnectionError:
            return Preview("none", "busy")
        except IntegrityError:
            return Preview("none", "broken")
        except (ApplianceError, OSError):
            return Preview("none", "unavailable")

    def _by_process(self, request: bytes) -> bytes:
        words = (sys.executable, "-sP", "-m", "appliance.restore.preview.worker")
        code = {"PYTHONPATH": str(Path(appliance.__file__).parent.parent)}
        raw = run(words, timeout_seconds=self.seconds_max, env=code, stdin=request, cwd="/").stdout
        return raw if len(raw) <= ANSWER_BYTES_MAX else b""

    def _by_socket(self, request: bytes) -> bytes:
        """The answer of the unit, which closes at once, with nothing read, while it has as many callers as it takes."""
        end = time.monotonic() + self.busy_seconds_max
        while True:
            try:
                return self._ask(request)
            except ConnectionError:
                if time.monotonic() >= end:
                    raise
                time.sleep(BUSY_PAUSE_SECONDS)

    def _ask(self, request: bytes) -> bytes:
        deadline = time.monotonic() + self.seconds_max
        with contextlib.closing(connect(self.socket)) as connection:
            connection.settimeout(self.seconds_max)
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = bytearray()
            for piece in _pieces(connection, deadline):
                answer += piece
                if len(answer) > ANSWER_BYTES_MAX:
                    return b""
            return bytes(answer)


def _pieces(connection: socket.socket, deadline: float) -> Iterator[bytes]:
    while True:
        connection.settimeout(max(0.01, deadline - time.monotonic()))
        piece = connection.recv(READ_SIZE)
        if not piece:
            return
        yield piece
