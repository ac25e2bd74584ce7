"""The catalogue's file: names are personal data, so only its owner reads it; it can always be made again.

    archive   one row per archive seen, numbered in the order of arrival; a pruned one keeps its number. `sound` when
              nothing in it could be written outside its destination, `hardlinks` how many later names it has
    path      every path of a kept version; `path` holds its exact bytes, `norm` what is looked for
    ver       one row per version: the same size, time and kind in the archives numbered `first` to `last`
    name      the index of `norm`

A version that the newest archive still has is open: its `last` is OPEN, so that an archive in which nothing changed
changes no row. One row per version and archive would be 365 million rows for a year of a million files.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from appliance.errors import ApplianceError, Busy, IntegrityError, NoSpace, NotFound
from appliance.host.files import make_private_folder

FORMAT = 2
OPEN = 2**62

_SCHEMA = (
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE archive(number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, start REAL NOT NULL,"
    " kept INTEGER NOT NULL DEFAULT 1, sound INTEGER NOT NULL, hardlinks INTEGER NOT NULL)",
    "CREATE TABLE path(id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, norm TEXT NOT NULL)",
    "CREATE TABLE ver(path_id INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, mtime INTEGER NOT NULL,"
    " size INTEGER NOT NULL, kind TEXT NOT NULL, PRIMARY KEY(path_id, first)) WITHOUT ROWID",
    f"CREATE INDEX ver_closed ON ver(last) WHERE last < {OPEN}",
    "CREATE VIRTUAL TABLE name USING fts5(norm, content='path', content_rowid='id', tokenize='trigram', detail=none)",
    f"PRAGMA user_version = {FORMAT}",
)


class CorruptCatalogue(IntegrityError):
    """The file of a catalogue is damaged and was removed."""


class _OtherFormat(sqlite3.DatabaseError):
    pass


class _Writing(sqlite3.Connection):
    """Leaves an empty log and its index when it is the last to close, where SQLite removes both. A page, which may
    write neither, cannot open the catalogue without them, and the worker that made them has ended."""

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # a reader may be at it: the next one to close does it then
            self.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
            self.execute("PRAGMA busy_timeout = 0")
            self.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        super().close()


def open_catalogue(path: Path) -> sqlite3.Connection:
    """Open the catalogue at `path`, making an empty one when there is none, or one that is corrupt or of another
    format.

    A good one is never removed for a fault of its disk: reading a million names again takes hours, and on a full disk
    it fails. The connection is in autocommit; close it when done.
    """
    make_private_folder(path.parent)
    try:
        with errors_named(path):
            return _open(path)
    except (CorruptCatalogue, _OtherFormat):
        remove_catalogue(path)
    with errors_named(path):
        return _open(path)


@contextlib.contextmanager
def errors_named(path: Path) -> Iterator[None]:
    """Raise what SQLite says of the catalogue at `path` as ApplianceError; CorruptCatalogue, the file removed, of a
    damaged one.

    Close the connection first, or the file stays until that is done.
    """
    try:
        yield
    except _OtherFormat:
        raise
    except sqlite3.DatabaseError as error:
        raise _named(path, error) from error


def _named(path: Path, error: sqlite3.DatabaseError) -> ApplianceError:
    """The extended codes of SQLite have the primary code in their lowest byte."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        remove_catalogue(path)
        remedy = "Nothing is lost: run the command again, and the names are read from the backups again."
        return CorruptCatalogue(
            "the catalogue of names was damaged and has been removed.", where=str(path), remedy=remedy
        )
    if code == sqlite3.SQLITE_FULL:
        return NoSpace("the disk is full.", where=str(path), remedy="Free space; the next try continues.")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Busy("the catalogue of names is in use by another process.", where=str(path), remedy="Try again later.")
    remedy = "It was left unchanged. Check the disk (`dmesg`) and the owner of the file, then try again."
    return ApplianceError(f"the catalogue of names cannot be used ({error}).", where=str(path), remedy=remedy)


def read_catalogue(path: Path) -> sqlite3.Connection:
    """The catalogue at `path`, for questions only; raise NotFound while there is none that can be read."""
    connection = None
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=60)
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
        connection.execute("PRAGMA query_only = ON")
        if connection.execute("PRAGMA user_version").fetchone()[0] == FORMAT:
            return connection
    except sqlite3.DatabaseError:
        pass
    if connection:
        connection.close()
    raise NotFound("the names of what is saved are not read yet.", remedy="The agent reads them; try again later.")


def remove_catalogue(path: Path) -> None:
    """Remove the catalogue; the next catch-up reads every archive again."""
    for ending in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def clear(connection: sqlite3.Connection) -> None:
    """Empty the catalogue, within the transaction of the caller."""
    for statement in (
        "DELETE FROM meta",
        "DELETE FROM archive",
        "DELETE FROM path",
        "DELETE FROM ver",
        "INSERT INTO name(name) VALUES('delete-all')",
    ):
        connection.execute(statement)


def _open(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, timeout=60, factory=_Writing)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("BEGIN IMMEDIATE")  # two processes may open a new catalogue at once
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if found == 0:
            for statement in _SCHEMA:
                connection.execute(statement)
        elif found != FORMAT:
            raise _OtherFormat(f"format {found}")
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.close()
        raise
    return connection
