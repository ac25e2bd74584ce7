"""The end of a conversation at the vault of a peer that lies: what it says goes through `liar.py`."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from appliance.backup.vault.session import REQUEST_BYTES_MAX
from appliance.backup.vault.wire import Channel
from appliance.errors import ApplianceError

if TYPE_CHECKING:
    from tests.integration.liar.liar import Liar

QUIET_SECONDS = 20.0
IMPATIENT_SECONDS = 0.05
"""How long a vault that lied waits for what comes next: often nothing does."""


class LyingChannel(Channel):
    """The vault's end of a conversation with the liar."""

    def __init__(self, reader: int, writer: int, liar: Liar) -> None:
        super().__init__(reader, writer, quiet_seconds=QUIET_SECONDS, frame_bytes_max=REQUEST_BYTES_MAX)
        self._liar = liar

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
        self._quiet = self._patience = IMPATIENT_SECONDS
