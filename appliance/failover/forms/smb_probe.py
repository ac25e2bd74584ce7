"""Whether somebody speaks SMB at a port: the first word of a PC, and what it waits for. Nobody logs in for that."""

from __future__ import annotations

import asyncio
import struct

# [MS-SMB2] 2.2.1.2, 2.2.3 and 2.2.4. Dialects 3.0 and 3.0.2: the newer one would ask for more than a word.
_MAGIC, _RESPONSE = b"\xfeSMB", 0x00000001
_HEADER = struct.Struct("<4sHHIHHIIQIIQ16s")
_NEGOTIATE = struct.Struct("<HHHHI16sQHH")
_LENGTH = struct.Struct(">I")  # its first byte is 0: a message


def negotiate() -> bytes:
    """Return the first message of a PC."""
    header = _HEADER.pack(_MAGIC, _HEADER.size, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, bytes(16))
    body = _NEGOTIATE.pack(36, 2, 1, 0, 0, bytes(16), 0, 0x0300, 0x0302)
    return _LENGTH.pack(len(header) + len(body)) + header + body


def is_answer(header: bytes) -> bool:
    """Whether a message that begins with `header` agrees to a version."""
    magic, _, _, status, command, _, flags, *_ = _HEADER.unpack(header)
    return (magic, status, command, flags & _RESPONSE) == (_MAGIC, 0, 0, _RESPONSE)


async def speaks_smb(address: str, port: int, seconds_max: float) -> bool:
    """Whether a PC that comes to `address` could go on with a password."""
    try:
        async with asyncio.timeout(seconds_max):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                writer.write(negotiate())
                return is_answer((await reader.readexactly(_LENGTH.size + _HEADER.size))[_LENGTH.size :])
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
