"""Copy a SQLite database that others write to, consistently, by SQLite's own online backup.

The copy is page for page, so that an unchanged part of the database is an unchanged part of the copy (VACUUM INTO would
arrange it in a new order each time, and borg would store all of it again).
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from appliance.errors import ApplianceError, Busy, Forbidden, IntegrityError, NoSpace, NotFound
from appliance.units import MINUTE

BUSY_SECONDS_MAX = float(MINUTE)
_RETRY_SECONDS = 0.05
COMPANIONS = ("-wal", "-journal")
"""The files without which a database file cannot be read; `-shm` is rebuilt."""


def copy(database: str, to: Path, busy_seconds_max: float = BUSY_SECONDS_MAX) -> None:
    """Write to `to`, a new file, what `database` holds at one moment, its log included; checked, whole or not at all.

    Mode and owner are those of `database`. Writers in WAL mode are never held up; others wait while pages are copied.
    Raise NotFound, Forbidden, Busy when the database stays locked for `busy_seconds_max`, NoSpace, or IntegrityError
    when it is damaged or is no database.
    """
    if not os.path.exists(database):
        raise NotFound("the database does not exist.", where=database)
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = to.with_name(to.name + ".partial")
    try:
        _copy_pages(database, partial, busy_seconds_max)
        check(partial)
        _like(database, partial)
        os.rename(partial, to)
    except sqlite3.Error as error:
        raise _named(error, database) from error
    finally:
        for name in ("", *COMPANIONS):
            with suppress(FileNotFoundError):
                os.unlink(f"{partial}{name}")


def check(database: Path) -> None:
    """Raise IntegrityError unless every page and index of `database`, which nobody writes to, holds."""
    with closing(_open(str(database), "immutable=1")) as base:
        (first,) = base.execute("PRAGMA integrity_check(1)").fetchone()
    if first != "ok":
        raise IntegrityError(f"the database is damaged: {first}.", where=str(database))


def _copy_pages(database: str, to: Path, busy_seconds_max: float) -> None:
    with closing(_open(database, "mode=ro")) as source, closing(sqlite3.connect(to)) as target:
        # All pages in one step: in several, every write of another process would start the copy again, for ever.
        source.backup(target, pages=-1, progress=_give_up_after(busy_seconds_max, database), sleep=_RETRY_SECONDS)


def _give_up_after(seconds: float, database: str) -> Callable[[int, int, int], None]:
    """`Connection.backup` tries again without end while the database is locked; this ends it."""
    deadline = time.monotonic() + seconds

    def progress(status: int, remaining: int, total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise Busy(f"the database stayed locked for {seconds:.0f} s.", where=database)

    return progress


def _open(database: str, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(os.fsencode(database))}?{how}", uri=True, timeout=0)


def _like(database: str, copied: Path) -> None:
    shutil.copystat(database, copied)
    status = os.stat(database)
    with suppress(PermissionError):  # a plain account keeps its own
        os.chown(copied, status.st_uid, status.st_gid)


def _named(error: sqlite3.Error, database: str) -> ApplianceError:
    kinds: dict[int, type[ApplianceError]] = {
        sqlite3.SQLITE_FULL: NoSpace,
        sqlite3.SQLITE_NOTADB: IntegrityError,
        sqlite3.SQLITE_CORRUPT: IntegrityError,
        sqlite3.SQLITE_BUSY: Busy,
        sqlite3.SQLITE_PERM: Forbidden,
        sqlite3.SQLITE_AUTH: Forbidden,
    }
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of an extended code is detail
    return kinds.get(code, ApplianceError)(f"the database could not be copied: {error}.", where=database)
