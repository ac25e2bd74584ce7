"""Every name in every version, kept by reading one archive after the other.

What a version means: a path had this size, time and kind in all archives from `first` to `last`. It stays as long as
one of those archives is kept, and is restored from the newest of them; when the last one is pruned the version goes,
and with its last version the path: nothing is shown that cannot be brought back. "Deleted" means that the newest kept
archive has the path no more. Archives are numbered in the order in which they are first seen, never by their dates,
which a wrong clock can set back.

Folders are catalogued by name alone: their time changes with every file in them and would make a version each time.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Generator, Iterator
from typing import Protocol

from appliance.borg.folder import repository_id
from appliance.borg.model import Archive, Item, Repository
from appliance.restore.model import CatchUp
from appliance.restore.names import normal_form
from appliance.restore.schema import OPEN, clear

MICROSECONDS = 1_000_000


class Listing(Protocol):
    """What the catalogue asks of a repository; `borg.client.Borg` answers it."""

    @property
    def repository(self) -> Repository: ...

    def archives(self) -> tuple[Archive, ...]:
        """All archives, oldest first."""
        ...

    def items(self, archive: str) -> Iterator[Item]:
        """Every entry of `archive`."""
        ...


def catch_up(connection: sqlite3.Connection, borg: Listing, *, archives_max: int | None = None) -> CatchUp:
    """Read the archives that the catalogue does not know, oldest first, and forget those that were pruned.

    Each archive is one transaction: a cut loses at most the one being read, and the next call goes on. At most
    `archives_max` archives are read, for callers with little time.
    """
    started = time.monotonic()
    _belong_to(connection, repository_id(borg.repository.path))
    present = borg.archives()
    pruned = _forget_pruned(connection, present)
    known = {row[0] for row in connection.execute("SELECT id FROM archive")}
    new = [archive for archive in present if archive.id not in known][:archives_max]
    for archive in new:
        _read(connection, borg, archive)
    paths: int = connection.execute("SELECT count(*) FROM path").fetchone()[0]
    return CatchUp(len(new), pruned, paths, time.monotonic() - started)


def _belong_to(connection: sqlite3.Connection, repository: str) -> None:
    """A new key means a new repository: its catalogue starts empty."""
    with _transaction(connection):
        row = connection.execute("SELECT value FROM meta WHERE key = 'repository'").fetchone()
        if row is None or row[0] != repository:
            clear(connection)
            connection.execute("INSERT INTO meta VALUES('repository', ?)", (repository,))


def _read(connection: sqlite3.Connection, borg: Listing, archive: Archive) -> None:
    """List one archive into a temporary table, outside any transaction, then compare it with the open versions."""
    connection.execute("DROP TABLE IF EXISTS temp.seen")
    connection.execute(
        "CREATE TEMP TABLE seen(path BLOB PRIMARY KEY, mtime INTEGER, size INTEGER, kind TEXT, target BLOB)"
        " WITHOUT ROWID"
    )
    with contextlib.closing(_rows(borg, archive)) as rows, _transaction(connection, "BEGIN"):
        connection.executemany("INSERT OR REPLACE INTO temp.seen VALUES(?, ?, ?, ?, ?)", rows)
    with _transaction(connection):
        if not connection.execute("SELECT 1 FROM archive WHERE id = ?", (archive.id,)).fetchone():
            _merge(connection, archive)
    connection.execute("DROP TABLE temp.seen")


def _rows(borg: Listing, archive: Archive) -> Generator[tuple[bytes, int, int, str, bytes | None]]:
    for item in borg.items(archive.name):
        if item.path != ".":
            yield (os.fsencode(item.path), _mtime(item), item.size, item.kind, _master(item))


def _mtime(item: Item) -> int:
    return 0 if item.kind == "folder" else round(item.mtime_seconds * MICROSECONDS)


def _master(item: Item) -> bytes | None:
    return os.fsencode(item.link_target) if item.kind == "hardlink" else None


def _merge(connection: sqlite3.Connection, archive: Archive) -> None:
    connection.create_function("normal_form", 1, lambda path: normal_form(os.fsdecode(path)), deterministic=True)
    number = 1 + connection.execute("SELECT coalesce(max(number), 0) FROM archive").fetchone()[0]
    highest = connection.execute("SELECT coalesce(max(id), 0) FROM path").fetchone()[0]
    values = {"number": number, "open": OPEN, "highest": highest}
    connection.execute("INSERT INTO archive(number, id, name, start) VALUES(?, ?, ?, ?)", (number, *_row_of(archive)))
    for statement in _MERGE:
        connection.execute(statement, values)


def _row_of(archive: Archive) -> tuple[str, str, float]:
    return archive.id, archive.name, archive.start_utc_seconds


_MERGE = (
    # A later name of a hard link is a file like another: borg gives the size with the first name only.
    "UPDATE temp.seen SET kind = 'file', size = coalesce((SELECT first.size FROM temp.seen AS first"
    " WHERE first.path = temp.seen.target), 0) WHERE target IS NOT NULL",
    "INSERT INTO path(path, norm) SELECT path, normal_form(path) FROM temp.seen"
    " WHERE NOT EXISTS (SELECT 1 FROM path WHERE path.path = temp.seen.path)",
    "INSERT INTO name(rowid, norm) SELECT id, norm FROM path WHERE id > :highest",
    # Close what changed or went: its last archive is the one before this.
    "UPDATE ver SET last = :number - 1 WHERE last = :open AND NOT EXISTS (SELECT 1 FROM path JOIN temp.seen"
    " ON temp.seen.path = path.path WHERE path.id = ver.path_id AND temp.seen.mtime = ver.mtime"
    " AND temp.seen.size = ver.size AND temp.seen.kind = ver.kind)",
    "INSERT INTO ver(path_id, first, last, mtime, size, kind) SELECT path.id, :number, :open, mtime, size, kind"
    " FROM temp.seen JOIN path ON path.path = temp.seen.path"
    " WHERE NOT EXISTS (SELECT 1 FROM ver WHERE ver.path_id = path.id AND ver.last = :open)",
)


def _forget_pruned(connection: sqlite3.Connection, present: tuple[Archive, ...]) -> int:
    ids = {archive.id for archive in present}
    gone = [row for row in connection.execute("SELECT number, id FROM archive WHERE kept") if row[1] not in ids]
    if not gone:
        return 0
    with _transaction(connection):
        connection.executemany("UPDATE archive SET kept = 0 WHERE number = ?", [(number,) for number, _ in gone])
        for statement in _FORGET:
            connection.execute(statement)
    return len(gone)


_FORGET = (
    "DELETE FROM ver WHERE NOT EXISTS (SELECT 1 FROM archive WHERE kept AND number BETWEEN ver.first AND ver.last)",
    "INSERT INTO name(name, rowid, norm) SELECT 'delete', id, norm FROM path"
    " WHERE NOT EXISTS (SELECT 1 FROM ver WHERE ver.path_id = path.id)",
    "DELETE FROM path WHERE NOT EXISTS (SELECT 1 FROM ver WHERE ver.path_id = path.id)",
)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
