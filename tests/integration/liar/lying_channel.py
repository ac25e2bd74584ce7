"""The end of a conversation at the vault of a peer that lies: what it says goes through `liar.py`."""

from __future__ import annotations

import json
import select
import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from appliance.backup.vault.session import REQUEST_BYTES_MAX
from appliance.backup.vault.wire import Channel, Closed
from appliance.errors import ApplianceError

if TYPE_CHECKING:
    from tests.integration.liar.liar import Liar

QUIET_SECONDS = 20.0
GLANCE_SECONDS = 0.001


class LyingChannel(Channel):
    """The vault's end of a conversation with the liar."""

    def __init__(self, reader: int, writer: int, liar: Liar, is_waited_for: Callable[[], bool]) -> None:
        super().__init__(reader, writer, quiet_seconds=QUIET_SECONDS, frame_bytes_max=REQUEST_BYTES_MAX)
        self._liar = liar
        self._is_waited_for = is_waited_for
        self._impatient = False

    def write_frame(self, frame: Mapping[str, Any]) -> None:
        try:
            self._liar.answer(self, frame)
        except ApplianceError:
            raise
        except Exception as error:
            self._liar.faults.append(error)
            raise

    def tell(self, frame: Mapping[str, Any]) -> None:
        data = json.dumps(frame).encode()  # half characters included
        super().write(struct.pack(">I", len(data)) + data)

    def tell_bytes(self, data: bytes) -> None:
        super().write(data)

    def write(self, data: bytes | memoryview) -> None:
        super().write(self._liar.spoil(bytes(data)))

    def send_file(self, file: BinaryIO, size: int) -> None:
        self.write(file.read(size))

    def is_impatient(self) -> None:
        """From now on it goes once both wait for each other: after a lie, often nothing more comes."""
        self._impatient = True

    def _wait(self, readers: list[int], writers: list[int]) -> None:
        while self._impatient and readers and not _ready(readers, GLANCE_SECONDS):
            if self._is_waited_for() and not _ready(readers, 0):  # what it wrote before it waited is here by now
                raise Closed("the other side waits too.")
        super()._wait(readers, writers)


def _ready(readers: list[int], seconds: float) -> bool:
    return bool(select.select(readers, [], [], seconds)[0])
