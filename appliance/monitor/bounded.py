"""A small HTTP server that no caller fills: connections of an address, silence and the length of each are bounded."""

from __future__ import annotations

import contextlib
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import Any

from appliance.host.journal_limit import OncePerMinute, say_limited

SILENT_SECONDS_MAX = 10.0
CONNECTION_SECONDS_MAX = 20.0
"""From its beginning to the end of its answer: a byte each nine seconds is no silence."""
LINE_BYTES_MAX = 64 * 1024
"""The length of a request's line and of each of its headers, of which http.server takes a hundred."""


class Bounded(ThreadingHTTPServer):
    """Cuts a caller that has too many connections, says nothing or takes too long; reports it in one line a minute."""

    daemon_threads = True
    request_queue_size = 16

    def __init__(self, address: tuple[str, int], answer: type[BaseHTTPRequestHandler], per_address_max: int) -> None:
        self._per_address_max = per_address_max
        self._open: dict[Any, tuple[str, float]] = {}
        self._limit = OncePerMinute()
        super().__init__(address, answer)

    def get_request(self) -> tuple[Any, Any]:
        connection, peer = super().get_request()
        connection.settimeout(SILENT_SECONDS_MAX)
        return connection, peer

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Cut who has as many connections open as one may have."""
        address = client_address[0]
        if sum(it == address for it, _ in tuple(self._open.values())) >= self._per_address_max:
            return False
        self._open[request] = (address, time.monotonic())
        return True

    def shutdown_request(self, request: Any) -> None:
        self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut what has lasted too long; its thread then ends by itself."""
        now = time.monotonic()
        for request, (_, begun) in tuple(self._open.items()):
            if now - begun > CONNECTION_SECONDS_MAX:
                with contextlib.suppress(OSError):
                    socket.shutdown(request, SHUT_RDWR)  # of what lies below TLS, which waits for its peer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that breaks off or has no certificate is reported without a traceback."""
        self.say(f"{client_address[0]}: {sys.exception()}")

    def say(self, sentence: str) -> None:
        say_limited(_print, self._limit, sentence, time.monotonic())


def _print(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
