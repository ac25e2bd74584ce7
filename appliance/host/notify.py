"""Tell systemd how a service is: sd_notify(3) is one datagram, so it needs no library (Debian has python3-sdnotify)."""

from __future__ import annotations

import contextlib
import os
import socket

READY, STOPPING, WATCHDOG = "READY=1", "STOPPING=1", "WATCHDOG=1"


def notify(*lines: str) -> None:
    """Send `lines` to who started us and asked for it (NOTIFY_SOCKET); nobody listening is no error."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address[0] == "@":  # an abstract socket
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.sendto("\n".join(lines).encode(), address)


def watchdog_seconds() -> float | None:
    """Within how many seconds systemd wants each WATCHDOG=1 of this process; None when it does not ask."""
    text, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not text.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return int(text) / 1_000_000
