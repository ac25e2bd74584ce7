"""The writers of a service over the years: its home, and its standby for a day after each takeover. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

AWAY = 24
"""Generations that the standby writes before the service goes back."""


@dataclass(frozen=True)
class Era:
    """One epoch: its writer, and how many generations it seals."""

    epoch: int
    writer: str
    count: int


def eras(count: int, takeovers: int, home: str, standby: str, first_epoch: int = 2) -> Iterator[Era]:
    """`count` generations in all. Each takeover and each return is a new even epoch, granted by the territory key; the
    last of them is the home's."""
    away = min(AWAY, count // (2 * takeovers + 1)) if takeovers else 0
    at_home = count - takeovers * away
    for number in range(takeovers + 1):
        share = at_home * (number + 1) // (takeovers + 1) - at_home * number // (takeovers + 1)
        yield Era(first_epoch + 4 * number, home, share)
        if number < takeovers:
            yield Era(first_epoch + 4 * number + 2, standby, away)
