"""Every name in every version, kept by reading one archive after the other.

A version means that a path had this size, time and kind in all archives from `first` to `last`. It stays as long as one
of those archives is kept, and is restored from the newest of them; when the last one is pruned the version goes, and
with its last version the path: nothing is shown that cannot be brought back. "Deleted" means that the newest kept
archive has the path no more. Archives are numbered in the order in which they are first seen, never by their dates,
which a wrong clock can set back. One that was gone and is there again has its old number: a row that outlived it still
says what it had, and only entries without such a row are read into rows again.

Folders are catalogued by name alone: their time changes with every file in them and would make a version each time.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from appliance.borg.contents import Examination
from appliance.borg.folder import repository_id
from appliance.borg.model import Archive, Item, Repository
from appliance.borg.segments import commit_mark
from appliance.restore.model import CatchUp
from appliance.restore.names import normal_form
from appliance.restore.schema import OPEN, CorruptCatalogue, clear, errors_named, open_catalogue

MICROSECONDS = 1_000_000


class Listing(Protocol):
    """The questions of the catalogue to a repository; `borg.client.Borg` answers them."""

    @property
    def repository(self) -> Repository: ...

    def archives(self) -> tuple[Archive, ...]:
        """All archives, oldest first."""
        ...

    def items(self, archive: str) -> Iterator[Item]:
        """Every entry of `archive`."""
        ...


def is_current(connection: sqlite3.Connection, repository: Repository) -> bool:
    """Whether nothing was committed since the last catch-up ended; answered without a start of borg."""
    mark = commit_mark(repository.path)
    return bool(mark) and _meta(connection, "mark") == mark and _is_of(connection, repository)


def has_archives(connection: sqlite3.Connection) -> bool:
    """Whether the repository had any archive when its names were read last."""
    return bool(connection.execute("SELECT EXISTS(SELECT 1 FROM archive WHERE kept)").fetchone()[0])


@contextlib.contextmanager
def caught_up(
    path: Path, borg: Listing, lacking: Callable[[str], Sequence[str]] = lambda archive: ()
) -> Iterator[tuple[sqlite3.Connection, CatchUp]]:
    """The catalogue at `path` after a catch-up; one that turns out to be damaged in it is removed and read again.

    Raise CorruptCatalogue, the file removed, when a later question finds the damage: the same command then reads it
    again.
    """
    connection, found = _caught_up(path, borg, lacking)
    with errors_named(path), contextlib.closing(connection):
        yield connection, found


def _caught_up(
    path: Path, borg: Listing, lacking: Callable[[str], Sequence[str]]
) -> tuple[sqlite3.Connection, CatchUp]:
    try:
        return _opened_and_caught_up(path, borg, lacking)
    except CorruptCatalogue:
        return _opened_and_caught_up(path, borg, lacking)


def _opened_and_caught_up(
    path: Path, borg: Listing, lacking: Callable[[str], Sequence[str]]
) -> tuple[sqlite3.Connection, CatchUp]:
    connection = open_catalogue(path)
    try:
        with errors_named(path):
            return connection, catch_up(connection, borg, lacking=lacking)
    except BaseException:
        connection.close()
        raise


def catch_up(
    connection: sqlite3.Connection,
    borg: Listing,
    on_archive: Callable[[int, int], None] = lambda done, total: None,
    lacking: Callable[[str], Sequence[str]] = lambda archive: (),
) -> CatchUp:
    """Read the archives that the catalogue does not know, oldest first, and forget those that were pruned.

    Each archive is one transaction: a cut loses at most the one being read, and the next call goes on. `on_archive` is
    told how many of how many are read. `lacking` says which paths an archive lacks because they could not be read: what
    the newest one lacks so was not deleted.
    """
    started = time.monotonic()
    if not _is_of(connection, borg.repository):
        _start_over(connection, repository_id(borg.repository.path))
    mark, present = _marked_archives(borg)
    pruned = _forget_pruned(connection, present)
    known = {row[0] for row in connection.execute("SELECT id FROM archive WHERE kept")}
    new = [archive for archive in present if archive.id not in known]
    for done, archive in enumerate(new, start=1):
        _read(connection, borg, archive)
        on_archive(done, len(new))
    if present:  # also when it is known: its run may have said it after the names were read
        _note_unread(connection, present[-1], lacking(present[-1].name))
    connection.execute("INSERT OR REPLACE INTO meta VALUES('mark', ?)", (mark,))
    paths: int = connection.execute("SELECT count(*) FROM path").fetchone()[0]
    return CatchUp(len(new), pruned, paths, time.monotonic() - started)


def _note_unread(connection: sqlite3.Connection, newest: Archive, paths: Sequence[str]) -> None:
    told = json.dumps({"of": newest.id, "paths": list(paths)})
    connection.execute("INSERT OR REPLACE INTO meta VALUES('unread', ?)", (told,))


def count_as_deleted(connection: sqlite3.Connection) -> str:
    """The SQL that a version which the newest archive has no more was deleted, and not only unread there.

    A file that had gone from an unread folder before is deleted all the same: the folder itself was saved later than
    that.
    """
    told = json.loads(_meta(connection, "unread") or "{}")
    newest = connection.execute("SELECT id FROM archive WHERE kept ORDER BY number DESC LIMIT 1").fetchone()
    if not told.get("paths") or newest is None or told["of"] != newest[0]:
        return "1"
    query = "SELECT max(ver.last) FROM ver JOIN path ON path.id = ver.path_id WHERE path.path = ?"
    names = [os.fsencode(path) for path in told["paths"]]
    last = {name: found for name in names if (found := connection.execute(query, (name,)).fetchone()[0]) is not None}

    def is_unread(path: bytes, seen: int) -> bool:
        parts = path.split(b"/")
        above = (b"/".join(parts[:number]) for number in range(1, len(parts) + 1))
        return any(it in last and seen >= last[it] for it in above)

    connection.create_function("is_unread", 2, is_unread, deterministic=True)
    return "NOT is_unread(path.path, ver.last)"


def _marked_archives(borg: Listing) -> tuple[str, tuple[Archive, ...]]:
    """All archives with a mark from before they were listed: what is committed meanwhile makes another mark."""
    mark = commit_mark(borg.repository.path)
    if not mark:
        borg.archives()  # a fresh copy has no mark before borg has indexed it
        mark = commit_mark(borg.repository.path)
    return mark, borg.archives()


def _meta(connection: sqlite3.Connection, key: str) -> str:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row[0] if row else ""


def _is_of(connection: sqlite3.Connection, repository: Repository) -> bool:
    return _meta(connection, "repository") == repository_id(repository.path)


def _start_over(connection: sqlite3.Connection, repository: str) -> None:
    """A new key means a new repository: its catalogue starts empty."""
    with _transaction(connection):
        clear(connection)
        connection.execute("INSERT INTO meta VALUES('repository', ?)", (repository,))


def _read(connection: sqlite3.Connection, borg: Listing, archive: Archive) -> None:
    """List one archive into a temporary table, outside any transaction, then compare it with the open versions."""
    connection.execute("DROP TABLE IF EXISTS temp.seen")
    connection.execute(
        "CREATE TEMP TABLE seen(path BLOB PRIMARY KEY, mtime INTEGER, size INTEGER, kind TEXT, target BLOB)"
        " WITHOUT ROWID"
    )
    examination = Examination()
    with contextlib.closing(_rows(borg, archive, examination)) as rows, _transaction(connection, "BEGIN"):
        connection.executemany("INSERT OR REPLACE INTO temp.seen VALUES(?, ?, ?, ?, ?)", rows)
    with _transaction(connection):
        _merge(connection, archive, examination)
    connection.execute("DROP TABLE temp.seen")


def _rows(
    borg: Listing, archive: Archive, examination: Examination
) -> Generator[tuple[bytes, int, int, str, bytes | None]]:
    for item in borg.items(archive.name):
        examination.add(item)
        if item.path != ".":
            yield (os.fsencode(item.path), _mtime(item), item.size, item.kind, _master(item))


def _mtime(item: Item) -> int:
    return 0 if item.kind == "folder" else round(item.mtime_seconds * MICROSECONDS)


def _master(item: Item) -> bytes | None:
    return os.fsencode(item.link_target) if item.kind == "hardlink" else None


def _merge(connection: sqlite3.Connection, archive: Archive, examination: Examination) -> None:
    connection.create_function("normal_form", 1, lambda path: normal_form(os.fsdecode(path)), deterministic=True)
    newest = connection.execute("SELECT coalesce(max(number), 0) FROM archive").fetchone()[0]
    highest = connection.execute("SELECT coalesce(max(id), 0) FROM path").fetchone()[0]
    before = connection.execute("SELECT number, kept FROM archive WHERE id = ?", (archive.id,)).fetchone()
    number, kept = before or (newest + 1, False)
    if kept:
        return  # another process has read it meanwhile
    connection.execute(
        "INSERT OR REPLACE INTO archive(number, id, name, start, sound, hardlinks) VALUES(?, ?, ?, ?, ?, ?)",
        (number, *_row_of(archive), not examination.fault(), examination.hardlinks),
    )
    last = number if number < newest else OPEN
    values = {"number": number, "last": last, "open": OPEN, "highest": highest}
    for statement in (*_NAMES, *(_RETURN if before else _ADD)):
        connection.execute(statement, values)


def _row_of(archive: Archive) -> tuple[str, str, float]:
    return archive.id, archive.name, archive.start_utc_seconds


_SAME = (
    "EXISTS (SELECT 1 FROM path JOIN temp.seen ON temp.seen.path = path.path WHERE path.id = ver.path_id"
    " AND temp.seen.mtime = ver.mtime AND temp.seen.size = ver.size AND temp.seen.kind = ver.kind)"
)

_NAMES = (
    # A later name of a hard link is a file like another: borg gives the size with the first name only.
    "UPDATE temp.seen SET kind = 'file', size = coalesce((SELECT first.size FROM temp.seen AS first"
    " WHERE first.path = temp.seen.target), 0) WHERE target IS NOT NULL",
    "INSERT INTO path(path, norm) SELECT path, normal_form(path) FROM temp.seen"
    " WHERE NOT EXISTS (SELECT 1 FROM path WHERE path.path = temp.seen.path)",
    "INSERT INTO name(rowid, norm) SELECT id, norm FROM path WHERE id > :highest",
)

_ADD = (
    # Close what changed or went: its last archive is the one before this.
    f"UPDATE ver SET last = :number - 1 WHERE last = :open AND NOT {_SAME}",
    "INSERT INTO ver(path_id, first, last, mtime, size, kind) SELECT path.id, :number, :open, mtime, size, kind"
    " FROM temp.seen JOIN path ON path.path = temp.seen.path"
    " WHERE NOT EXISTS (SELECT 1 FROM ver WHERE ver.path_id = path.id AND ver.last = :open)",
)

_RETURN = (
    # Archives that come back do so oldest first: the run of the one before goes on in this one.
    f"UPDATE ver SET last = :last WHERE last = :number - 1 AND {_SAME} AND NOT EXISTS (SELECT 1 FROM ver AS other"
    " WHERE other.path_id = ver.path_id AND :number BETWEEN other.first AND other.last)",
    "INSERT INTO ver(path_id, first, last, mtime, size, kind) SELECT path.id, :number, :last, mtime, size, kind"
    " FROM temp.seen JOIN path ON path.path = temp.seen.path"
    " WHERE NOT EXISTS (SELECT 1 FROM ver WHERE ver.path_id = path.id AND :number BETWEEN ver.first AND ver.last)",
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
