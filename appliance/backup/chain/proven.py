"""The files of a service on this machine that were read and found right.

A takeover goes on from files that were read when they came, and a town waits for it: whatever the size of the service,
nothing is read once more. Files of a replica rot like any others: the vault's scrub finds that, and a file that nobody
read for a month is read again. Losing this record costs only time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from appliance.backup.chain.hashes import HashCache
from appliance.node.handle import Node
from appliance.trust.generation import Entry

HELD, FETCHED = "held", "fetched"
"""The places of a file of an entry: in the vault, or on its way here. Each has a record of its own with one writer: the
agent as it reads ahead, and the program that fetches."""


class Proven:
    """The records of `service` on `node`; `empty` when none is believed, as in a repair of corrupt files."""

    def __init__(self, node: Node, service: str, *, empty: bool = False) -> None:
        root = node.service(service).root
        self._caches = {where: HashCache(root / f"proven-{where}.json", empty=empty) for where in (HELD, FETCHED)}
        self._now = node.clock.now()

    def is_right(self, where: str, entry: Entry, path: Path) -> bool:
        """Whether the file `path` is what `entry` says; it is read unless it is known from before."""
        if path.stat().st_size != entry.size:
            return False
        digest, _ = self._caches[where].digest(_name(where, entry), path, self._now)
        return digest == entry.sha256

    def learn(self, where: str, entry: Entry, path: Path) -> None:
        """Note `path`, which was just made of bytes that are right."""
        self._caches[where].learn(_name(where, entry), path, entry.sha256, self._now)

    def forget_oldest(self, where: str, entries: Iterable[Entry]) -> None:
        """Have a share of those read again that nobody read for a month."""
        self._caches[where].forget_oldest([_name(where, entry) for entry in entries], self._now)

    def save(self, where: str, entries: Iterable[Entry]) -> None:
        """Keep what is known of `entries`, and forget all others of `where`: they are gone. Unless the disk is full, or
        the record is another account's."""
        cache = self._caches[where]
        with contextlib.suppress(OSError):
            cache.save(name for entry in entries if (name := _name(where, entry)) in cache)


def _name(where: str, entry: Entry) -> str:
    """A held file is named by its hash: many generations share it."""
    return entry.sha256 if where == HELD else entry.path
