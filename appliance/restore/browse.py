"""A folder as it was on a day: which days there are, and what the folder held; from the catalogue alone."""

from __future__ import annotations

import datetime
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from zoneinfo import ZoneInfo

from appliance.borg.model import Kind
from appliance.restore.catalogue import MICROSECONDS
from appliance.restore.model import Version
from appliance.restore.names import normal_form
from appliance.restore.scope import missing

type Date = datetime.date


@dataclass(frozen=True)
class Moment:
    """A kept archive and when it was made, UTC seconds."""

    archive: str
    start_seconds: float


@dataclass(frozen=True)
class Child:
    """One entry of a folder; a folder has neither size nor time."""

    path: str
    kind: Kind
    size: int
    mtime_seconds: float

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def moments(connection: sqlite3.Connection) -> tuple[Moment, ...]:
    """Everything one can go back to, oldest first."""
    rows = connection.execute("SELECT name, start FROM archive WHERE kept ORDER BY start, number")
    return tuple(Moment(name, start) for name, start in rows)


def moment_of(connection: sqlite3.Connection, archive: str) -> Moment | None:
    """The moment of `archive` or, when it is kept no more, the last before it that is; None when there is none."""
    row = connection.execute(
        "SELECT name, start FROM archive WHERE kept AND start <= (SELECT max(start) FROM archive WHERE name = :archive)"
        " ORDER BY name = :archive DESC, start DESC, number DESC LIMIT 1",
        {"archive": archive},
    ).fetchone()
    return Moment(*row) if row else None


def date_of(seconds: float, zone: ZoneInfo) -> Date:
    """The local date of UTC seconds."""
    return datetime.datetime.fromtimestamp(seconds, zone).date()


def days(found: Iterable[Moment], zone: ZoneInfo) -> dict[Date, tuple[Moment, ...]]:
    """The moments of each local day that has any, oldest first: what a calendar offers."""
    return {day: tuple(group) for day, group in groupby(found, lambda it: date_of(it.start_seconds, zone))}


def moment_on(found: Iterable[Moment], day: Date, zone: ZoneInfo) -> Moment | None:
    """The last moment of `day` or, when it has none, of the day before it that has; None before the first."""
    until = [it for it in found if date_of(it.start_seconds, zone) <= day]
    return until[-1] if until else None


def by_day(found: Iterable[Version], zone: ZoneInfo) -> dict[Date, tuple[Version, ...]]:
    """The versions of one file by the local day on which each was first saved, in the order of `found`."""
    grouped = groupby(found, lambda it: date_of(it.first_seen_seconds, zone))
    return {day: tuple(group) for day, group in grouped}


def children(connection: sqlite3.Connection, folder: str, archive: str) -> tuple[Child, ...]:
    """Return what `folder` held in `archive`: folders first, by name without accents; raise PathMissing when it was not
    there.

    Deeper entries are jumped over, so that the top of a million files answers as quickly as a small folder.
    """
    row = connection.execute("SELECT number FROM archive WHERE name = ? AND kept", (archive,)).fetchone()
    folder = folder.strip("/")
    if row is None or not _is_folder(connection, folder, row[0]):
        raise missing(folder)
    found = (_child(connection, path_id, path, row[0]) for path_id, path in _names_in(connection, os.fsencode(folder)))
    present = (child for child in found if child is not None)
    return tuple(sorted(present, key=lambda it: (it.kind != "folder", normal_form(it.name), it.name)))


def _is_folder(connection: sqlite3.Connection, folder: str, number: int) -> bool:
    row = connection.execute(
        "SELECT 1 FROM path JOIN ver ON ver.path_id = path.id"
        " WHERE path = ? AND kind = 'folder' AND ? BETWEEN first AND last",
        (os.fsencode(folder), number),
    ).fetchone()
    return row is not None


def _names_in(connection: sqlite3.Connection, folder: bytes) -> Iterator[tuple[int, bytes]]:
    """(id, path) of every path directly in `folder`, in any archive: from each folder one jumps to behind its end."""
    start, end = folder + b"/", folder + b"0"
    while True:
        deeper = None
        for path_id, path in connection.execute(
            "SELECT id, path FROM path WHERE path >= ? AND path < ? ORDER BY path", (start, end)
        ):
            deeper = path.find(b"/", len(folder) + 1)
            if deeper >= 0:
                start = path[:deeper] + b"0"
                break
            yield path_id, path
        else:
            return


def _child(connection: sqlite3.Connection, path_id: int, path: bytes, number: int) -> Child | None:
    row = connection.execute(
        "SELECT kind, size, mtime FROM ver WHERE path_id = ? AND ? BETWEEN first AND last", (path_id, number)
    ).fetchone()
    return Child(os.fsdecode(path), row[0], row[1], row[2] / MICROSECONDS) if row else None
