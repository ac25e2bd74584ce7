"""Repeatable chance: the same key gives the same draws on every machine and Python.

Only what the standard library promises to keep is used: `random()` seeded by text, and SHAKE-128 for bytes in bulk.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence


class Draw:
    """A stream of draws of its own, named by `key`: adding a file to the plan moves no draw of another file."""

    def __init__(self, *key: object) -> None:
        self._key = "/".join(str(part) for part in key)
        self._random = random.Random(self._key).random
        self._blocks = 0

    def below(self, limit: int) -> int:
        """A whole number from 0 to `limit` - 1."""
        return int(self._random() * limit)

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def pick[T](self, choices: Sequence[T]) -> T:
        return choices[int(self._random() * len(choices))]

    def weight(self) -> float:
        """A relative size as files have them: most are small, a few are twenty times larger; the mean is near 1."""
        return float(0.2 + 4 * self._random() ** 4)

    def bytes(self, size: int) -> bytes:
        """`size` bytes that nothing compresses."""
        self._blocks += 1
        return hashlib.shake_128(f"{self._key}#{self._blocks}".encode()).digest(size)
