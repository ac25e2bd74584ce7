"""Whether a PostgreSQL server answers, asked as its clients do and without any account: what `pg_isready` asks.

A first message of the protocol (version 3.0, PostgreSQL's manual, chapter 53) names a role; a server that serves asks
for its password. One that is still starting says so, by an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_WORDS = b"".join(word + b"\0" for word in (b"user", b"probe", b"database", b"probe", b""))
_VERSION = 3 << 16
STARTUP = (8 + len(_WORDS)).to_bytes(4) + _VERSION.to_bytes(4) + _WORDS
_ERROR_BYTES_MAX = 10_000
_STARTING = b"\0C57P03\0"  # cannot_connect_now, in its field of an error


async def answers(connecting: Awaitable[Stream], seconds_max: float) -> bool:
    """Whether a server at the other end of `connecting` takes clients; an error that it does explain is an answer."""
    try:
        async with asyncio.timeout(seconds_max):
            reader, writer = await connecting
            try:
                writer.write(STARTUP)
                kind = await reader.readexactly(1)
                return kind == b"R" or (kind == b"E" and _STARTING not in await _message(reader))
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError, EOFError):
        return False


async def _message(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await reader.readexactly(4))
    return b"\0" + await reader.readexactly(min(length - 4, _ERROR_BYTES_MAX))
