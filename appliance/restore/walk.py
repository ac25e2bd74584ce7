"""Every version of every file in the order of paths, each with the archive that it would be restored from."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

# A version is restored from the newest archive that has it; so that is where it has to be readable.
_WALK = """
SELECT path.path, ver.size, archive.name
FROM path JOIN ver ON ver.path_id = path.id
JOIN archive ON archive.number =
    (SELECT max(number) FROM archive WHERE kept AND number BETWEEN ver.first AND ver.last)
WHERE ver.kind = 'file' AND path.path > :after ORDER BY path.path, ver.first
"""


@dataclass(frozen=True)
class Stored:
    """One version of the file at `path`: `size` in bytes, `archive` the newest that has it."""

    path: str
    size: int
    archive: str


def walk(connection: sqlite3.Connection, after: str = "") -> Iterator[Stored]:
    """The versions of all files whose path comes after `after` in the order of bytes, those of one path together."""
    for path, size, archive in connection.execute(_WALK, {"after": os.fsencode(after)}):
        yield Stored(os.fsdecode(path), size, archive)


def unsound(connection: sqlite3.Connection) -> tuple[str, ...]:
    """The archives of which nothing may be restored, oldest first: something in them could lie outside their folder."""
    found = connection.execute("SELECT name FROM archive WHERE kept AND NOT sound ORDER BY number")
    return tuple(name for (name,) in found)


def total_bytes(connection: sqlite3.Connection) -> int:
    """The sizes of all versions of all files together."""
    total: int = connection.execute("SELECT coalesce(sum(size), 0) FROM ver WHERE kind = 'file'").fetchone()[0]
    return total
