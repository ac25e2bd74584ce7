"""Whether a PostgreSQL server answers: what counts as an answer of one that serves, and what does not."""

from __future__ import annotations

import asyncio

import pytest

from appliance.host.postgresql import STARTUP, answers

SECONDS_MAX = 0.5


def error(code: str) -> bytes:
    """An error as a server sends it: fields of a letter and a text, each ended by a zero."""
    fields = b"".join(it.encode() + b"\0" for it in ("SFATAL", "VFATAL", f"C{code}", "Mno")) + b"\0"
    return b"E" + (4 + len(fields)).to_bytes(4) + fields


@pytest.mark.parametrize(
    ("said", "well"),
    [
        (b"R" + (8).to_bytes(4) + (10).to_bytes(4), True),
        (error("53300"), True),
        (error("57P03"), False),
        (b"E\0\0", False),
        (b"HTTP/1.0 400 Bad Request\r\n\r\n", False),
        (b"", False),
        (None, False),
    ],
    ids=["asks a password", "is full", "still starts", "breaks off", "another program", "hangs up", "says nothing"],
)
def test_it_serves_when_it_asks_for_a_password_or_says_why_not(said: bytes | None, well: bool) -> None:
    assert asyncio.run(ask(said)) is well


async def ask(said: bytes | None) -> bool:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(len(STARTUP)) == STARTUP
        if said is None:
            await reader.read()
        else:
            writer.write(said)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        return await answers(asyncio.open_connection(host, port), SECONDS_MAX)


def test_nobody_there_is_no_answer() -> None:
    assert not asyncio.run(answers(asyncio.open_unix_connection("/nonexistent"), SECONDS_MAX))
