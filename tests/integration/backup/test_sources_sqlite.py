"""A SQLite database is saved whole and of one moment, while others write to it, or its failure is reported."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from appliance.backup.sources import Prepared, SourceSpec, prepare, sqlite
from appliance.errors import ApplianceError, Busy, IntegrityError, NotFound

ACCOUNTS, TOTAL = 2000, 2_000_000

# Moves money between accounts for ever: in any one moment the sum is TOTAL, in a torn copy it is not.
WRITER = """
import random, sqlite3, sys
base = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
base.execute("PRAGMA synchronous=OFF")
said = False
while True:
    source, target = random.sample(range(2000), 2)
    base.execute("BEGIN IMMEDIATE")
    base.execute("UPDATE compte SET solde = solde - 7 WHERE id = ?", (source,))
    base.execute("UPDATE compte SET solde = solde + 7, suite = suite + 1 WHERE id = ?", (target,))
    base.execute("COMMIT")
    if not said:
        said = print("ready", flush=True) or True
"""


def make_base(path: Path, journal: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as base:
        base.execute(f"PRAGMA journal_mode={journal}")
        base.execute("CREATE TABLE compte (id INTEGER PRIMARY KEY, solde INTEGER, suite INTEGER, motif TEXT)")
        rows = ((number, TOTAL // ACCOUNTS, 0, "é" * 400) for number in range(ACCOUNTS))
        base.executemany("INSERT INTO compte VALUES (?, ?, ?, ?)", rows)
        base.commit()
    return path


@contextmanager
def writing(base: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has written to `base` at least once and goes on."""
    process = subprocess.Popen((sys.executable, "-c", WRITER, str(base)), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def total(path: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as base:
        solde, suite = base.execute("SELECT sum(solde), sum(suite) FROM compte").fetchone()
    return int(solde), int(suite)


@contextmanager
def prepared(tmp_path: Path, *bases: Path) -> Iterator[Prepared]:
    with prepare(SourceSpec("registre", "sqlite", tuple(map(str, bases))), tmp_path / "work") as answer:
        yield answer


@pytest.fixture(params=["WAL", "DELETE"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make_base(tmp_path / "app" / "registre é?#%41.sqlite", request.param)


def test_a_copy_taken_while_others_write_is_of_one_moment(base: Path, tmp_path: Path) -> None:
    moments = []
    with writing(base) as writer:
        for number in range(6):
            copy = tmp_path / f"copy{number}.sqlite"
            sqlite.copy(str(base), copy)
            sum_of_all, moment = total(copy)
            assert sum_of_all == TOTAL
            moments.append(moment)
        assert writer.poll() is None
    assert moments == sorted(moments)
    assert moments[-1] > moments[0]


def test_what_a_killed_writer_left_in_the_log_is_in_the_copy(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base.sqlite", "WAL")
    with writing(base):
        pass
    assert Path(f"{base}-wal").stat().st_size > 0
    sqlite.copy(str(base), tmp_path / "copy.sqlite")
    with closing(sqlite3.connect(base)) as live:
        expected = live.execute("SELECT sum(solde), sum(suite) FROM compte").fetchone()
    assert total(tmp_path / "copy.sqlite") == expected
    assert expected[1] > 0


def test_an_unchanged_page_is_the_same_in_the_copy(base: Path, tmp_path: Path) -> None:
    sqlite.copy(str(base), tmp_path / "copy.sqlite")
    before, after = base.read_bytes(), (tmp_path / "copy.sqlite").read_bytes()
    pages = range(4096, len(before), 4096)
    assert len(before) == len(after)
    assert all(before[at : at + 4096] == after[at : at + 4096] for at in pages)


def dump_of(tmp_path: Path, base: Path) -> str:
    """Where the copy of `base` lies while it is saved."""
    return f"{tmp_path / 'work' / 'dumps'}/.{base}"


def test_the_copy_has_the_databases_own_name_mode_and_owner_and_is_gone_afterwards(base: Path, tmp_path: Path) -> None:
    base.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(base, 65534, 65534)
    with prepared(tmp_path, base) as answer:
        (path,) = answer.paths
        assert path == dump_of(tmp_path, base)
        status = os.stat(path)
        assert (status.st_mode & 0o777, status.st_uid) == (0o640, base.stat().st_uid)
        assert (tmp_path / "work").stat().st_mode & 0o077 == 0
        assert sorted(entry.name for entry in Path(path).parent.iterdir()) == [base.name]
        assert (answer.failures, [read.how for read in answer.read_from]) == ((), ["dump"])
    assert not Path(path).exists()


def test_a_database_that_stays_locked_ends_in_a_bounded_time(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base.sqlite", "DELETE")
    with closing(sqlite3.connect(base, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Busy, match="stayed locked"):
            sqlite.copy(str(base), tmp_path / "copy.sqlite", busy_seconds_max=0.2)
    assert [path.name for path in tmp_path.iterdir()] == ["base.sqlite"]


def damage(base: Path) -> None:
    with open(base, "r+b") as file:
        file.seek(4096 * 20)
        file.write(b"\xff" * 4096 * 5)


def test_a_damaged_database_is_told_and_its_bytes_are_kept_for_who_may_mend_it(tmp_path: Path) -> None:
    damaged, sound = (make_base(tmp_path / f"{name}.sqlite", "DELETE") for name in ("damaged", "sound"))
    damage(damaged)
    with prepared(tmp_path, damaged, sound) as answer:
        (failure,) = answer.failures
        assert failure.what == str(damaged)
        assert isinstance(failure.error, IntegrityError)
        assert answer.paths == (str(damaged).lstrip("/"), dump_of(tmp_path, sound))


@pytest.mark.parametrize(
    ("content", "error", "sentence"),
    [(b"Ceci n'est pas une base.\n" * 100, IntegrityError, "not a database"), (None, NotFound, "does not exist")],
)
def test_what_is_no_database_is_said_to_be_none(
    tmp_path: Path, content: bytes | None, error: type[ApplianceError], sentence: str
) -> None:
    base = tmp_path / "base.sqlite"
    if content is not None:
        base.write_bytes(content)
    with prepared(tmp_path, base) as answer:
        assert isinstance(answer.failures[0].error, error)
        assert sentence in str(answer.failures[0].error)
        assert answer.paths == ((str(base).lstrip("/"),) if content else ())


def test_the_database_itself_is_never_written_to(base: Path, tmp_path: Path) -> None:
    before = (base.read_bytes(), base.stat().st_mtime_ns)
    sqlite.copy(str(base), tmp_path / "copy.sqlite")
    assert (base.read_bytes(), base.stat().st_mtime_ns) == before
