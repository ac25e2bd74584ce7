"""The connections that may be open, and for how long without a request: no PC shuts the pages by idle connections.

A connection too many from one address is closed as it comes, before it costs anything, TLS too. A PC that began a
request must end it in time. Where many PCs have many, the next ones get a page that says so.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import time
from weakref import WeakKeyDictionary

import h11
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from appliance.host.journal_limit import OncePerMinute

CONCURRENT_MAX = 500
"""Connections, those that say nothing too: a browser keeps six, and a town hall has some PCs."""
PER_ADDRESS_MAX = 100
"""A whole town hall may sit behind one address."""
REQUEST_SECONDS = 30
"""For one of a megabyte, with a thousand ticks, over a slow line."""
FULL = (
    "Trop de personnes regardent ces pages en ce moment. Réessayez dans une minute.\n"
    "Too many people look at these pages at this moment. Try again in a minute.\n"
)


class Listener(socket.socket):
    """Listens at `address`, as an IP address; raise OSError when that cannot be."""

    def __init__(self, address: str, port: int) -> None:
        version = ipaddress.ip_address(address).version
        super().__init__(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_STREAM)
        self._open: WeakKeyDictionary[socket.socket, str] = WeakKeyDictionary()
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if version == 6:
            self.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.bind((address, port))

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        """The next connection; raise ConnectionAbortedError for one too many of its address."""
        made, address = super().accept()
        if sum(it.fileno() >= 0 and whose == address[0] for it, whose in self._open.items()) >= PER_ADDRESS_MAX:
            made.close()
            raise ConnectionAbortedError
        self._open[made] = address[0]
        return made, address


class Connection(H11Protocol):
    """One connection of a browser."""

    request_seconds: float = REQUEST_SECONDS
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONCURRENT_MAX:
            self.app = _full
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Have patience with a request from its begin to its end; before the next, uvicorn waits for a while itself."""
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop_watching()
        elif self._patience is None:
            self._patience = self.loop.call_later(self.request_seconds, self.transport.abort)

    def _stop_watching(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class Few(logging.Filter):
    """One line a minute of anything that any PC can cause, such as an invalid request; all lines of failures."""

    def __init__(self) -> None:
        super().__init__()
        self._limit = OncePerMinute()

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR or bool(self._limit.tries(time.monotonic()))


async def _full(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(FULL, 503, {"Connection": "close", "Retry-After": "60"})(scope, receive, send)
