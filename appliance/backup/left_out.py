"""Which of the things that a backup left out a restore will lack."""

from __future__ import annotations

SOCKET = "socket"
PASSWORDS = "the passwords of the roles, which this user may not read"
"""Of a database that is dumped by who had better be no superuser; roles come back without them."""


def matters(reason: str) -> bool:
    """Whether a restore will lack what was left out for `reason`. A socket holds nothing, and the program that listens
    there makes it again."""
    return reason != SOCKET


def is_missing(reason: str) -> bool:
    """Whether an archive lacks for `reason` what it should have. A file that vanished while borg read is gone at its
    source, too, and one that was written meanwhile is there, of a moment in between."""
    if reason == PASSWORDS or "[Errno 2]" in reason or reason.startswith("file changed while"):
        return False
    return matters(reason)
