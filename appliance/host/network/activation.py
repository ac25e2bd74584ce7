"""The listening socket with which systemd starts a program for its first caller (Accept=no, sd_listen_fds(3)).

The socket stays systemd's: a program that has been idle exits with 0, and a caller that comes meanwhile starts it
again.
"""

from __future__ import annotations

import os
import socket

from appliance.host.network.peer import FIRST


def inherited() -> socket.socket | None:
    """The socket that was handed to this process; None where somebody else started it.

    What says so is removed, so that no child takes it for its own.
    """
    mine = os.environ.pop("LISTEN_PID", "") == str(os.getpid())
    count = os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if not mine or count != "1":
        return None
    found = socket.socket(fileno=FIRST)
    found.set_inheritable(False)
    return found
