"""How pages keep their worker running while somebody looks at them, and let it end when nobody does.

A call is a connection that says nothing: what is wanted lies in folders, as before. The first call starts the worker
by systemd's socket. Calls come at most each ten seconds, and the worker ends after two minutes without one, so a
request that is placed between two calls finds it running.
"""

from __future__ import annotations

import logging
import math
import socket
import time
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

LOG = logging.getLogger("appliance.portal")
CALL_SECONDS = 10.0
QUIET_SECONDS = 120.0
FAILED_SECONDS = 60.0


class WorkerCall:
    """The pages' side: calls the worker at the socket `path`, whose owner starts it where it does not run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = 0.0

    def call(self) -> None:
        """Call, unless that was done just now; a failure is one line a minute, and the page comes all the same."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + CALL_SECONDS
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as connection:
            try:
                connection.connect(str(self._path))
            except BlockingIOError:
                return  # as many calls as fit wait for it already
            except OSError as error:
                self._next = now + FAILED_SECONDS
                LOG.warning("the worker behind the pages does not start: %s: %s", self._path, error.strerror)

    def calling(self, app: ASGIApp) -> ASGIApp:
        """`app`, which calls after each answer: nobody waits for it, and what was asked is in its folder by then."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await app(scope, receive, send)
            finally:
                self.call()

        return answer


class Calls:
    """The worker's side: the calls that come to `listener`."""

    def __init__(self, listener: socket.socket, quiet_seconds: float = QUIET_SECONDS) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._quiet_seconds = quiet_seconds
        self._last = -math.inf

    def are_over(self) -> bool:
        """Whether nobody has called for so long, or nobody at all, as where a timer started the worker. The calls that
        wait are taken; one that comes later starts the next worker."""
        while self._take():
            self._last = time.monotonic()
        return time.monotonic() - self._last >= self._quiet_seconds

    def _take(self) -> bool:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return False
        connection.close()
        return True
