"""Deleted entries, newest first, a deleted folder as one entry with all that went with it."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass

from appliance.borg.model import Kind
from appliance.restore.catalogue import MICROSECONDS, count_as_deleted
from appliance.restore.schema import OPEN
from appliance.restore.scope import Folders, condition, holds
from appliance.restore.search import LIMIT, folder_contents


@dataclass(frozen=True)
class Gone:
    """The restore that `archive`, the newest that has `path`, offers: `entries` of `size` bytes, folders counted too.

    `last_seen_seconds` is when that archive was made: it was deleted between then and the next one.
    """

    path: str
    kind: Kind
    archive: str
    last_seen_seconds: float
    mtime_seconds: float
    entries: int
    size: int


# A path whose folder went in the same archive is told with it; one that had gone before stands for itself, and so does
# one whose folder gave way to a file.
_GONE = f"""
SELECT path.path, ver.kind, ver.size, ver.mtime, kept.number, kept.name, kept.start
FROM ver JOIN path ON path.id = ver.path_id
JOIN archive AS kept ON kept.number =
    (SELECT max(number) FROM archive WHERE kept AND number BETWEEN ver.first AND ver.last)
WHERE ver.last < {OPEN} AND ver.last < (SELECT max(number) FROM archive WHERE kept)
AND ver.first = (SELECT max(first) FROM ver AS other WHERE other.path_id = ver.path_id)
AND NOT EXISTS (SELECT 1 FROM path AS above JOIN ver AS over ON over.path_id = above.id
    WHERE above.path = folder_above(path.path) AND over.last = ver.last AND over.kind = 'folder'
    AND over.first = (SELECT max(first) FROM ver AS newer WHERE newer.path_id = above.id))
AND {{below}} AND {{deleted}} ORDER BY ver.last DESC LIMIT :limit OFFSET :offset
"""


def gone(
    connection: sqlite3.Connection, *, folders: Folders = None, limit: int = LIMIT, offset: int = 0
) -> tuple[Gone, ...]:
    """Return the entries of `folders` (None: all) that the newest archive lacks, latest first, `offset` entries passed
    over."""

    def folder_above(path: bytes) -> bytes | None:
        above = path.rpartition(b"/")[0]
        return above if above and _is_inside(os.fsdecode(above), folders) else None

    connection.create_function("folder_above", 1, folder_above, deterministic=True)
    below, values = condition(folders)
    query = _GONE.format(below=below, deleted=count_as_deleted(connection))
    rows = connection.execute(query, {**values, "limit": limit, "offset": offset}).fetchall()
    return tuple(_gone(connection, *row) for row in rows)


def _is_inside(folder: str, folders: Folders) -> bool:
    """A share that went itself is no entry of its own, so what was in it is told."""
    return holds(folders, folder) and (folders is None or folder not in {it.strip("/") for it in folders})


def _gone(
    connection: sqlite3.Connection,
    path: bytes,
    kind: Kind,
    size: int,
    mtime: int,
    number: int,
    archive: str,
    start: float,
) -> Gone:
    name = os.fsdecode(path)
    entries = 1
    if kind == "folder":
        contents = folder_contents(connection, number, name)
        entries, size = contents.entries, contents.size
    return Gone(name, kind, archive, start, mtime / MICROSECONDS, entries, size)
