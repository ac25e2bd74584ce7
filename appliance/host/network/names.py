"""Names of hosts, all asked for at once and for some seconds: the resolver alone waits half a minute for a server that
is silent, for one name after the other."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Collection

Ask = Callable[[str], str]


def look_up(names: Collection[str], seconds_max: float, ask: Ask | None = None) -> dict[str, str]:
    """The address of each of `names` that has one within `seconds_max`; `ask` is another resolver in tests."""
    found: dict[str, str] = {}

    def look(name: str) -> None:
        with contextlib.suppress(OSError, UnicodeError):
            found[name] = (ask or _ask)(name)

    # Daemons: nobody waits for them at the end.
    asking = [threading.Thread(target=look, args=(name,), daemon=True) for name in names]
    for thread in asking:
        thread.start()
    deadline = time.monotonic() + seconds_max
    for thread in asking:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(found)


def _ask(name: str) -> str:
    return str(socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)[0][4][0])
