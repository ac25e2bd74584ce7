"""Questions to the catalogue; each answers in milliseconds over a million names and never touches the repository."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

from appliance.borg.errors import PathMissing
from appliance.restore.catalogue import MICROSECONDS
from appliance.restore.contents import Contents
from appliance.restore.model import Found, Version
from appliance.restore.names import match_expression, words_of
from appliance.restore.schema import OPEN

LIMIT = 50

# The newest version of a path, its number of versions, and the newest kept archive that has it.
_FOUND = f"""
SELECT path.path, ver.kind, ver.size, ver.mtime,
       (SELECT count(*) FROM ver AS v WHERE v.path_id = path.id),
       (SELECT max(start) FROM archive WHERE kept AND number =
           (SELECT max(number) FROM archive WHERE kept AND number BETWEEN ver.first AND ver.last)),
       ver.last < {OPEN} AND ver.last < (SELECT max(number) FROM archive WHERE kept)
FROM {{source}}
JOIN ver ON ver.path_id = path.id AND ver.first = (SELECT max(first) FROM ver AS v WHERE v.path_id = path.id)
WHERE {{condition}}
ORDER BY {{order}} LIMIT :limit
"""


def search(
    connection: sqlite3.Connection, term: str, *, limit: int = LIMIT, folder: str | None = None
) -> tuple[Found, ...]:
    """The paths that contain every word of `term`, accents and case left aside, those that appeared last first.

    Only paths under `folder` are looked at and counted, so that nothing outside a person's right shows, not even in a
    number. An empty term finds nothing.
    """
    words = words_of(term)
    if not words:
        return ()
    conditions, values = _below(folder)
    for number, word in enumerate(words):
        conditions.append(f"instr(path.norm, :word{number})")
        values[f"word{number}"] = word
    source = "path"
    expression = match_expression(words)
    if expression:
        source = "name JOIN path ON path.id = name.rowid"
        conditions.append("name MATCH :expression")
        values["expression"] = expression
    order = "name.rowid DESC" if expression else "path.id DESC"
    return _found(connection, source, conditions, order, {**values, "limit": limit})


def deleted(
    connection: sqlite3.Connection, *, since_seconds: float = 0.0, limit: int = LIMIT, folder: str | None = None
) -> tuple[Found, ...]:
    """The paths that the newest archive has no more, latest first, seen last at `since_seconds` or later."""
    conditions, values = _below(folder)
    conditions += [
        f"ver.last < {OPEN}",
        "ver.last < (SELECT max(number) FROM archive WHERE kept)",
        "(SELECT max(start) FROM archive WHERE kept AND number BETWEEN ver.first AND ver.last) >= :since",
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
        raise PathMissing(f'no version of "{path}" is known.', remedy="Look for a part of its name.")
    return tuple(
        Version(path, kind, size, mtime / MICROSECONDS, archive, first_seen, last_seen, bool(current))
        for kind, size, mtime, archive, first_seen, last_seen, current in rows
    )


def contents_of(connection: sqlite3.Connection, archive: str, path: str) -> Contents | None:
    """What `path` is in `archive`, as `contents.examine` would count it; None when the archive itself must be asked.

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
    return None if hardlinks else _folder_contents(connection, number, path)


def _folder_contents(connection: sqlite3.Connection, number: int, folder: str) -> Contents:
    conditions, values = _below(folder)
    entries, size = connection.execute(
        f"SELECT count(*), coalesce(sum(iif(kind = 'file', size, 0)), 0) FROM path JOIN ver ON ver.path_id = path.id"
        f" WHERE {' AND '.join(conditions)} AND :number BETWEEN first AND last",
        {**values, "number": number},
    ).fetchone()
    return Contents(1 + entries, size)


def _below(folder: str | None) -> tuple[list[str], dict[str, Any]]:
    """All paths below a folder lie between "folder/" and "folder0": 0 is the next byte after /."""
    if folder is None or folder in ("", "."):
        return [], {}
    bounds = {"from": os.fsencode(folder.strip("/")) + b"/", "below": os.fsencode(folder.strip("/")) + b"0"}
    return ["path.path >= :from AND path.path < :below"], bounds


def _found(
    connection: sqlite3.Connection, source: str, conditions: list[str], order: str, values: dict[str, Any]
) -> tuple[Found, ...]:
    query = _FOUND.format(source=source, condition=" AND ".join(conditions) or "1", order=order)
    return tuple(
        Found(os.fsdecode(path), kind, size, mtime / MICROSECONDS, count, seen, bool(gone))
        for path, kind, size, mtime, count, seen, gone in connection.execute(query, values)
    )
