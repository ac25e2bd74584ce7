"""The memory of the pages between two requests: one SQLite file, opened again for each use.

Only the hash of a session, a code or a form is kept: a person who reads this file gets no access with it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.host.files import make_private_folder

_FORMAT = 1
_SCHEMA = (
    "CREATE TABLE session(id TEXT PRIMARY KEY, name TEXT NOT NULL, marks TEXT NOT NULL, form_key BLOB NOT NULL,"
    " began REAL NOT NULL, seen REAL NOT NULL) WITHOUT ROWID",
    "CREATE TABLE spent(node TEXT NOT NULL, name TEXT NOT NULL, code TEXT NOT NULL, at REAL NOT NULL,"
    " PRIMARY KEY(node, name, code)) WITHOUT ROWID",
    "CREATE TABLE step(node TEXT NOT NULL, name TEXT NOT NULL, step INTEGER NOT NULL, PRIMARY KEY(node, name))"
    " WITHOUT ROWID",
    "CREATE TABLE try(key TEXT NOT NULL, at REAL NOT NULL)",
    "CREATE INDEX try_key ON try(key, at)",
    f"PRAGMA user_version = {_FORMAT}",
)


class Database:
    """The file at `path`, made when it is not there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        make_private_folder(path.parent)
        with self.changing() as connection:
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                for statement in _SCHEMA:
                    connection.execute(statement)
        path.chmod(0o600)

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it, or nothing."""
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=30)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()  # rolls back what was not committed

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=30)
        connection.row_factory = sqlite3.Row
        try:
            yield connection
        finally:
            connection.close()


def hashed(token: str) -> str:
    """Return the hash to keep of a token that a browser holds."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
