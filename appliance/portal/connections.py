"""The connections that may be open, and for how long without a request: no PC shuts the pages by idle connections.

A connection too many from one address is closed as it comes, before it costs anything, TLS too. A PC that began a
request must end it in time. Where many PCs have many, the next ones get a page that says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import math
import socket
import time
from dataclasses import dataclass

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from appliance.host.journal_limit import OncePerMinute

CONCURRENT_MAX = 500
"""Connections, those that say nothing too: a browser keeps six, and a town hall has some PCs."""
PER_ADDRESS_MAX = 100
"""A whole town hall may sit behind one address."""
REQUEST_SECONDS = 30
"""For one of a megabyte, with a thousand ticks, over a slow line."""
LOOK_SECONDS = 1.0
FULL = (
    "Trop de personnes regardent ces pages en ce moment. Réessayez dans une minute.\n"
    "Too many people look at these pages at this moment. Try again in a minute.\n"
)


@dataclass(eq=False)
class _Open:
    """A connection of the PC `address`. Its request must be complete at `due`; `late`: it is one too many of all."""

    made: socket.socket
    address: str
    due: float
    late: bool
    answers: int = 0


class Connections:
    """The open connections of one listener, in one event loop; `request_seconds` is how long a request may take to
    arrive."""

    def __init__(self, *, request_seconds: float = REQUEST_SECONDS) -> None:
        self._request_seconds = request_seconds
        self._look_seconds = min(LOOK_SECONDS, request_seconds / 4)
        self._open: dict[tuple[str, int], _Open] = {}
        self._looking = False
        self._last = time.monotonic()

    def are_over(self, quiet_seconds: float) -> bool:
        """Whether none has been open for so long. A page that looks again by itself, as a screen on a wall does, opens
        one each time; a download keeps its own."""
        self._forget_closed()
        if self._open:
            self._last = time.monotonic()
        return time.monotonic() - self._last >= quiet_seconds

    def admit(self, made: socket.socket, address: str, port: int) -> bool:
        """Whether `made`, a connection from `address` and `port`, may stay open."""
        self._forget_closed()
        self._last = time.monotonic()
        if sum(it.address == address for it in self._open.values()) >= PER_ADDRESS_MAX:
            return False
        loop = asyncio.get_running_loop()
        late = len(self._open) >= CONCURRENT_MAX
        self._open[address, port] = _Open(made, address, loop.time() + self._request_seconds, late)
        if not self._looking:
            self._looking = True
            loop.call_later(self._look_seconds, self._look, loop)
        return True

    def answering(self, app: ASGIApp) -> ASGIApp:
        """`app`, with a time limit for each request to arrive; its answer has none."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            it = self._open.get(scope["client"])  # none where the PC went away before uvicorn asked for its address
            if it is None:
                await app(scope, receive, send)
            elif it.late:
                await _full(scope, receive, send)
            else:
                await self._answer(it, app, scope, receive, send)

        return answer

    async def _answer(self, it: _Open, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        now = asyncio.get_running_loop().time
        left, whole = it.due - now(), False

        async def receive_in_time() -> Message:
            """The next piece of the request, within the time that the pieces before it left."""
            nonlocal left, whole
            if whole:
                return await receive()
            due = it.due = now() + left
            try:
                message = await receive()
            finally:
                left, it.due = due - now(), math.inf
            whole = not message.get("more_body", False)
            return message

        it.answers += 1
        it.due = math.inf
        try:
            await app(scope, receive_in_time, send)
        finally:
            it.answers -= 1
            # The next request of a browser may be under way before the application is done with this one.
            if not it.answers:
                it.due = now() + self._request_seconds

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Shut the connections whose request is overdue; their protocol then closes them as if the PC had."""
        self._forget_closed()
        now = loop.time()
        for it in self._open.values():
            if it.due <= now:
                with contextlib.suppress(OSError):
                    it.made.shutdown(socket.SHUT_RDWR)
        self._looking = bool(self._open)
        if self._looking:
            loop.call_later(self._look_seconds, self._look, loop)

    def _forget_closed(self) -> None:
        self._open = {key: it for key, it in self._open.items() if it.made.fileno() >= 0}


def bound(address: str, port: int) -> socket.socket:
    """A socket that listens at `address`, an IP address, for that version alone; raise OSError when that cannot be."""
    is_6 = ipaddress.ip_address(address).version == 6
    return socket.create_server((address, port), family=socket.AF_INET6 if is_6 else socket.AF_INET)


class Listener(socket.socket):
    """The socket `taken`, whose connections `connections` admits."""

    def __init__(self, taken: socket.socket, connections: Connections) -> None:
        super().__init__(fileno=taken.detach())
        self._connections = connections

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        """The next connection; raise ConnectionAbortedError for one too many of its address."""
        made, address = super().accept()
        if not self._connections.admit(made, *address[:2]):
            made.close()
            raise ConnectionAbortedError
        return made, address


class Few(logging.Filter):
    """One line a minute of anything that any PC can cause, such as an invalid request; all lines of failures."""

    def __init__(self) -> None:
        super().__init__()
        self._limit = OncePerMinute()

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR or bool(self._limit.tries(time.monotonic()))


async def _full(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(FULL, 503, {"Connection": "close", "Retry-After": "60"})(scope, receive, send)
