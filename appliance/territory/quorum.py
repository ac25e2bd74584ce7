"""The number of voters that decides."""

from __future__ import annotations

VOTER = "voter"
"""The role of a node that votes."""


def majority(count: int) -> int:
    """How many of `count` voters decide."""
    return count // 2 + 1
