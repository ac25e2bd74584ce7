"""Which files of a service on this machine were read and found right.

A takeover goes on from files that were read when they came, and a town waits for it: whatever the size of the service,
nothing is read once more. Rot that came since is found by the vault's scrub, and by whoever reads a file again after a
month. Losing this record costs only time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from appliance.backup.hashes import HashCache
from appliance.backup.node import Node
from appliance.trust.generation import Entry

HELD, FETCHED, OWN = "held", "fetched", "own"
"""Where a file of an entry may lie: in the vault, on its way here, in the repository that is written here."""


class Proven:
    """The record of `service` on `node`."""

    def __init__(self, node: Node, service: str) -> None:
        self._cache = HashCache(node.service(service).root / "proven.json")
        self._now = node.clock.now()

    def is_right(self, where: str, entry: Entry, path: Path) -> bool:
        """Whether the file `path` is what `entry` says; it is read unless it is known from before."""
        if path.stat().st_size != entry.size:
            return False
        digest, _ = self._cache.digest(_name(where, entry), path, self._now)
        return digest == entry.sha256

    def learn(self, where: str, entry: Entry, path: Path) -> None:
        """Note `path`, which was just made of bytes that are right."""
        self._cache.learn(_name(where, entry), path, entry.sha256, self._now)

    def forget_oldest(self, where: str, entries: Iterable[Entry]) -> None:
        """Have a share of those read again that nobody read for a month."""
        self._cache.forget_oldest([_name(where, entry) for entry in entries], self._now)

    def save(self, where: str = "", entries: Iterable[Entry] = ()) -> None:
        """Keep the record, of `where` with `entries` alone: the others are gone. Unless the disk is full, or the record
        is another account's."""
        kept = {_name(where, entry) for entry in entries}
        names = [it for it in self._cache.names if not where or it in kept or not it.startswith(f"{where}/")]
        with contextlib.suppress(OSError):
            self._cache.save(names)


def _name(where: str, entry: Entry) -> str:
    """What is held is named by its hash: many generations share it."""
    return f"{where}/{entry.sha256 if where == HELD else entry.path}"
