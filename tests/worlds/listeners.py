"""Ports of this machine that behave as those of machines that are off or hang."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

LOOPBACK = "127.0.0.1"


@contextmanager
def full() -> Iterator[int]:
    """A port whose queue is full: a connection is neither taken nor refused, as when packets are dropped."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
