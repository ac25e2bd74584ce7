"""Sockets between the accounts of one machine: who is at the other end, by the kernel's word; open files that pass."""

from __future__ import annotations

import os
import pwd
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from appliance.errors import Forbidden, Unreachable

_UCRED = struct.Struct("3i")
FIRST = 3
"""The descriptor by which systemd hands over a socket (sd_listen_fds)."""


def peer_uid(connection: socket.socket) -> int:
    """The number of the account at the other end, as it was when it connected."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(raw)[1])


def account_name(uid: int) -> str:
    """The name of the account `uid`; raise Forbidden for a number without one."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError as error:
        raise Forbidden(f"the account {uid} has no name on this machine.") from error


def connect(path: Path) -> socket.socket:
    """A connection to the socket at `path`; raise Unreachable when nobody listens or this account may not."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(path))
    except OSError as error:
        connection.close()
        raise Unreachable(
            f"no program answers at the socket ({os.strerror(error.errno or 0).lower()}).",
            where=str(path),
            remedy=f"See `systemctl status {path.name}`, and `journalctl` for the reason.",
        ) from error
    return connection


def greet(connection: socket.socket, descriptors: Sequence[int] = ()) -> None:
    """The first byte of a conversation; `descriptors` go along and are open at the other end then too."""
    if descriptors:
        socket.send_fds(connection, [b"\0"], list(descriptors))
    else:
        connection.sendall(b"\0")


def greeted(connection: socket.socket, descriptors_max: int) -> list[int]:
    """Wait for that byte; the descriptors that came along, which the caller closes. More than allowed are dropped."""
    _, descriptors, _, _ = socket.recv_fds(connection, 1, descriptors_max)
    return descriptors
