"""Questions to the catalogue; each answers in milliseconds over a million names and never touches the repository."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from typing import Any

from appliance.borg.contents import Contents
from appliance.errors import UsageError
from appliance.restore.catalogue import MICROSECONDS, count_as_deleted
from appliance.restore.model import Found, Version
from appliance.restore.names import match_expression, words_of
from appliance.restore.schema import OPEN
from appliance.restore.scope import Folders, condition, missing

LIMIT = 50
TERM_LENGTH_MAX = 200
"""No name is longer than 255 bytes, and a question of ten thousand letters is no question."""

# The newest version of a path, its number of versions, and the newest kept archive that has it.
_FOUND = f"""
SELECT path.path, ver.kind, ver.size, ver.mtime,
       (SELECT count(*) FROM ver AS v WHERE v.path_id = path.id),
       (SELECT max(start) FROM archive WHERE kept AND number =
           (SELECT max(number) FROM archive WHERE kept AND number BETWEEN ver.first AND ver.last)),
       ver.last < {OPEN} AND ver.last < (SELECT max(number) FROM archive WHERE kept) AND {{deleted}}
FROM {{source}}
JOIN ver ON ver.path_id = path.id AND ver.first = (SELECT max(first) FROM ver AS v WHERE v.path_id = path.id)
WHERE {{condition}}
ORDER BY {{order}} LIMIT :limit
"""


def search(
    connection: sqlite3.Connection, term: str, *, limit: int = LIMIT, folders: Folders = None
) -> tuple[Found, ...]:
    """The paths that contain every word of `term`, accents and case left aside, those that appeared last first.

    Only paths below one of `folders` (None: all) are looked at and counted, so that nothing outside a person's right
    shows, not even in a number. Only the part of such a path below its folder is searched: every file lies below
    "srv/shares/documents". An empty term finds nothing; raise UsageError for one that is too long.
    """
    if len(term) > TERM_LENGTH_MAX:
        raise UsageError(f"a search is at most {TERM_LENGTH_MAX} letters long.", remedy="Give a part of the name.")
    words = words_of(term)
    if not words:
        return ()
    conditions, values = _below(folders, words)
    # Without an index it goes by id and stops at the limit; by that of the paths SQLite would sort a whole share first.
    source = "path NOT INDEXED"
    expression = match_expression(words)
    if expression:
        source = "name JOIN path ON path.id = name.rowid"
        conditions.append("name MATCH :expression")
        values["expression"] = expression
    order = "name.rowid DESC" if expression else "path.id DESC"
    return _found(connection, source, conditions, order, {**values, "limit": limit})


def deleted(
    connection: sqlite3.Connection, *, since_seconds: float = 0.0, limit: int = LIMIT, folders: Folders = None
) -> tuple[Found, ...]:
    """The paths that the newest archive has no more, latest first, seen last at `since_seconds` or later."""
    conditions, values = _below(folders)
    conditions += [
        f"ver.last < {OPEN}",
        "ver.last < (SELECT max(number) FROM archive WHERE kept)",
        "(SELECT max(start) FROM archive WHERE kept AND number BETWEEN ver.first AND ver.last) >= :since",
        count_as_deleted(connection),
    ]
    return _found(connection, "path", conditions, "ver.last DESC", {**values, "since": since_seconds, "limit": limit})


def versions(connection: sqlite3.Connection, path: str) -> tuple[Version, ...]:
    """Every version of exactly this path, newest first; raise PathMissing when the catalogue has none."""
    rows = connection.execute(
        """
        SELECT ver.kind, ver.size, ver.mtime, kept.name, oldest.start, kept.start,
               ver.last >= (SELECT max(number) FROM archive WHERE kept)
        FROM path JOIN ver ON ver.path_id = path.id
        JOIN archive AS kept ON kept.number =
            (SELECT max(number) FROM archive WHERE kept AND number BETWEEN ver.first AND ver.last)
        JOIN archive AS oldest ON oldest.number = ver.first
        WHERE path.path = ? ORDER BY ver.first DESC
        """,
        (os.fsencode(path),),
    ).fetchall()
    if not rows:
        raise missing(path)
    return tuple(
        Version(path, kind, size, mtime / MICROSECONDS, archive, first_seen, last_seen, bool(current))
        for kind, size, mtime, archive, first_seen, last_seen, current in rows
    )


def contents_of(connection: sqlite3.Connection, archive: str, path: str) -> Contents | None:
    """Return what `path` is in `archive`, as `contents.examine` would count it; None when the archive itself must be
    asked.

    That is when something in it could be written outside its destination, and for a folder of an archive with hard
    links: of a file with two names, both in the folder, only one counts.
    """
    row = connection.execute(
        """
        SELECT archive.number, archive.hardlinks, ver.kind, ver.size FROM archive JOIN ver JOIN path
        ON path.id = ver.path_id AND archive.number BETWEEN ver.first AND ver.last
        WHERE archive.name = ? AND archive.kept AND archive.sound AND path.path = ?
        """,
        (archive, os.fsencode(path)),
    ).fetchone()
    if row is None:
        return None
    number, hardlinks, kind, size = row
    if kind != "folder":
        return Contents(1, size if kind == "file" else 0)
    return None if hardlinks else folder_contents(connection, number, path)


def contents_of_all(connection: sqlite3.Connection, archive: str, paths: Sequence[str]) -> Contents | None:
    """The same of several paths, none of which lies below another."""
    found = [contents_of(connection, archive, path) for path in paths]
    known = [it for it in found if it is not None]
    if len(known) < len(found):
        return None
    return Contents(sum(it.entries for it in known), sum(it.size for it in known))


def folder_contents(connection: sqlite3.Connection, number: int, folder: str) -> Contents:
    """The folder with all below it, as the archive of that number in the catalogue has it."""
    below, values = condition((folder,))
    entries, size = connection.execute(
        f"SELECT count(*), coalesce(sum(iif(kind = 'file', size, 0)), 0) FROM path JOIN ver ON ver.path_id = path.id"
        f" WHERE {below} AND :number BETWEEN first AND last",
        {**values, "number": number},
    ).fetchone()
    return Contents(1 + entries, size)


def _below(folders: Folders, words: Sequence[str] = ()) -> tuple[list[str], dict[str, Any]]:
    below, values = condition(folders, words)
    return [below], values


def _found(
    connection: sqlite3.Connection, source: str, conditions: list[str], order: str, values: dict[str, Any]
) -> tuple[Found, ...]:
    deleted = count_as_deleted(connection)
    query = _FOUND.format(source=source, condition=" AND ".join(conditions), order=order, deleted=deleted)
    return tuple(
        Found(os.fsdecode(path), kind, size, mtime / MICROSECONDS, count, seen, bool(gone))
        for path, kind, size, mtime, count, seen, gone in connection.execute(query, values)
    )
