"""How the system groups of a town hall's people are called on a machine. Pure, and loads nothing of accounts."""

from __future__ import annotations

from hashlib import sha256

EVERYBODY = "people"
MARK_LENGTH = 6


def mark(node: str) -> str:
    """Return the ending of the name of each system group of `node`; such a name has at most 32 characters."""
    return sha256(node.encode()).hexdigest()[:MARK_LENGTH]


def system_group(group: str, node: str) -> str:
    """The system group on any machine of the people of `node` who are in `group`."""
    return f"{group}-{mark(node)}"
