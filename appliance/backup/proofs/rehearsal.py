"""The rehearsal of a database: its dump fills a PostgreSQL cluster that is thrown away, as a takeover would fill one.

It proves that this node has the extensions, locales and the version that the dump asks for, that all of it loads with
its roles and without an error, and that each table has as many rows as the dump holds. A backup records no row counts
of its source, so the dump's are counted in its text, which the server that is filled has no part in.

The server is bounded: little memory, the lowest priorities, a limit of the disk. It need not outlive a loss of power. A
dump may carry what its author liked and its loader is a superuser: on a host this runs in a unit that reaches nothing
but itself (`appliance-database-rehearse@`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.backup.sources import PostgresServer, own_server, postgresql
from appliance.errors import ApplianceError, NoSpace
from appliance.host.command import stream
from appliance.host.files import make_private_folder
from appliance.restore.jobs import SPARE_BYTES
from appliance.units import HOUR, MIB, format_bytes, format_count

SIZE_MAX_TIMES = 6
"""How many times its dump a cluster may become, with all its indexes, and EMPTY_BYTES besides."""
EMPTY_BYTES = 512 * MIB
"""A new cluster, and its log of 256 MB at most."""
SIZE_TIMES = 2
"""For how many times the dump there must be room to begin."""
LOOK_EVERY_SECONDS = 0.5
NAMED_MAX = 20
DATA = "data"
GENTLY = ("nice", "-n", "10", "ionice", "--ignore", "--class", "3")
SETTINGS = (
    "shared_buffers=32MB",
    "maintenance_work_mem=64MB",
    "max_connections=10",
    "max_wal_size=256MB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "full_page_writes=off",
    "synchronous_commit=off",
    "autovacuum=off",
    "max_parallel_maintenance_workers=0",
)
_COPY = re.compile(rb'COPY (?:("(?:[^"]|"")+"|\w+)\.)?("(?:[^"]|"")+"|\w+) (?:\(.*\) )?FROM stdin;')
_LINE_BYTES_MAX = MIB
_ROWS = """
SELECT json_build_array(n.nspname, c.relname, (xpath('/row/n/text()',
    query_to_xml(format('SELECT count(*) AS n FROM ONLY %I.%I', nspname, relname), false, true, '')))[1]::text::bigint)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""
Table = tuple[str, str]


@dataclass(frozen=True)
class Rehearsed:
    """`done` when the dump was loaded or refused; else `told` says why it was not tried to the end.

    `wrong` are sentences about what did not come back; tables and rows are those of the cluster that was filled, and
    `seconds` what that took: it is how long a takeover would, without the fetching.
    """

    done: bool = False
    tables: int = 0
    rows: int = 0
    seconds: float = 0.0
    wrong: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


def untried(why: str) -> Rehearsed:
    return Rehearsed(told=(f"the database was not loaded into a PostgreSQL: {why}",))


def missing(programs: Path) -> Rehearsed:
    return untried(f"its server is not installed on this node ({programs}): apt-get install postgresql")


def decode(fields: Mapping[str, Any]) -> Rehearsed:
    """From JSON; raise KeyError or TypeError for what is none."""
    return Rehearsed(**{**fields, "wrong": tuple(fields["wrong"]), "told": tuple(fields["told"])})


def rehearse(dumps: Path, database: str, scratch: Path, programs: Path = own_server.PROGRAMS) -> Rehearsed:
    """Load the dump of `database` in `dumps` into a new cluster in the folder `scratch`, compare, and remove that.

    Remains of an earlier one that was cut are removed first.
    """
    if not (programs / "initdb").exists():
        return missing(programs)
    try:
        size = postgresql.dump_file(dumps, database).stat().st_size
        with _empty(scratch) as folder:
            _check_room(folder, size)
            limit = SIZE_MAX_TIMES * size + EMPTY_BYTES
            return _rehearse(dumps, database, folder / DATA, programs, limit)
    except (ApplianceError, OSError) as error:
        return untried(str(error))


def _rehearse(dumps: Path, database: str, data: Path, programs: Path, bytes_max: int) -> Rehearsed:
    own_server.make_cluster(programs, data, "trust")
    limit = _Limit(data, bytes_max, lambda: own_server.end(programs, data))
    with own_server.running(programs, data, SETTINGS, GENTLY, at_rest=False) as server, limit.watched():
        started = time.monotonic()
        try:
            postgresql.recreate(server, database, dumps)
            seconds = time.monotonic() - started
            postgresql.analyse(server, database)
            found = _rows(server, database)
        except ApplianceError as error:
            limit.check()
            return Rehearsed(done=True, wrong=(f"it does not load here: {error.what} {error.remedy}".strip(),))
    wrong = tuple(differences(rows_in(_plain(dumps, database)), found))
    return Rehearsed(True, len(found), sum(found.values()), seconds, wrong)


def differences(dumped: Mapping[Table, int], found: Mapping[Table, int]) -> Iterator[str]:
    """Return what the dump has and the cluster lacks. An extension's table has its own rows besides those of the
    dump."""
    lacking = [(table, rows) for table, rows in sorted(dumped.items()) if found.get(table, -1) < rows]
    for (schema, name), rows in lacking[:NAMED_MAX]:
        has = found.get((schema, name))
        told = "was not restored" if has is None else f"has {format_count(has, 'row')}, and the dump {rows}"
        yield f"table {schema}.{name} {told}."
    if len(lacking) > NAMED_MAX:
        yield f"{len(lacking) - NAMED_MAX} more tables lack rows."


def rows_in(pieces: Iterable[bytes]) -> Mapping[Table, int]:
    """How many rows each table has in the text that pg_restore makes of a dump."""
    rows: Counter[Table] = Counter()
    into: Table | None = None
    for line in _lines(pieces):
        if into is None:
            if head := _COPY.fullmatch(line):
                into = (_name(head[1] or b"public"), _name(head[2]))
                rows[into] += 0
        elif line == b"\\.":
            into = None
        else:
            rows[into] += 1
    return rows


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines, of which a very long one is cut: it is a row."""
    left = b""
    for piece in pieces:
        *whole, left = (left + piece).split(b"\n")
        yield from whole
        left = left[:_LINE_BYTES_MAX]


def _name(identifier: bytes) -> str:
    text = identifier.decode(errors="replace")
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def _plain(dumps: Path, database: str) -> Iterator[bytes]:
    words = ("pg_restore", "--data-only", "--file=-", str(postgresql.dump_file(dumps, database)))
    return stream(words, timeout_seconds=4 * HOUR, env={"LC_ALL": "C.UTF-8"})


def _rows(server: PostgresServer, database: str) -> Mapping[Table, int]:
    found = (json.loads(line) for line in postgresql.query(server, database, _ROWS, seconds_max=HOUR).splitlines())
    return {(schema, name): rows for schema, name, rows in found}


@contextmanager
def _empty(scratch: Path) -> Iterator[Path]:
    own_server.end_left(scratch / DATA)
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        yield make_private_folder(scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Limit:
    """Ends the server once its folder is too large, or the disk has no more than is to stay free."""

    def __init__(self, folder: Path, bytes_max: int, end: Callable[[], None]) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._end = end
        self._over = ""
        self._ended = threading.Event()

    @contextmanager
    def watched(self) -> Iterator[None]:
        watching = threading.Thread(target=self._watch, daemon=True)
        watching.start()
        try:
            yield
        finally:
            self._ended.set()
            watching.join()

    def check(self) -> None:
        if self._over:
            raise NoSpace(self._over, where=str(self._folder))

    def _watch(self) -> None:
        while not self._over and not self._ended.wait(LOOK_EVERY_SECONDS):
            self._over = self._look()
        if self._over:
            self._end()

    def _look(self) -> str:
        if _free(self._folder) < 0:
            return "the disk was full."
        if _size(self._folder) > self._bytes_max:
            return f"it grew beyond the {format_bytes(self._bytes_max)} that it may take."
        return ""


def _check_room(folder: Path, dump_bytes: int) -> None:
    if (lacks := SIZE_TIMES * dump_bytes + EMPTY_BYTES - _free(folder)) > 0:
        raise NoSpace(f"{format_bytes(lacks)} more must be free.", where=str(folder))


def _free(folder: Path) -> int:
    """How much more may be used on its disk."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize - SPARE_BYTES


def _size(folder: Path) -> int:
    """Return the room of `folder` on the disk in bytes; files come and go meanwhile."""
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(at, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total
