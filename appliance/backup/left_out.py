"""Which of the things that a backup left out a restore will lack."""

from __future__ import annotations

SOCKET = "socket"


def matters(reason: str) -> bool:
    """Whether a restore will lack what was left out for `reason`. A socket holds nothing, and the program that listens
    there makes it again."""
    return reason != SOCKET
