"""A catalogue whose file is damaged, or whose disk fails: what is removed and read again, and what never is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from appliance.errors import ApplianceError, Busy, NoSpace
from appliance.restore import schema
from appliance.restore.catalogue import caught_up
from appliance.restore.schema import CorruptCatalogue, open_catalogue, read_catalogue
from appliance.restore.search import versions
from tests.unit.restore.memory_repository import MemoryRepository


def with_rotten_pages(file: Path) -> None:
    """Each page but the first one is rotten: the file opens, and a question fails."""
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    file.write_bytes(content)


def test_a_catalogue_with_rotten_inner_pages_is_removed_and_read_again(
    tmp_path: Path, repository: MemoryRepository
) -> None:
    file = tmp_path / "catalogue.db"
    repository.add({"f": 1})
    with caught_up(file, repository):
        pass
    with_rotten_pages(file)
    repository.add({"f": 2})
    with caught_up(file, repository) as (connection, found):
        assert found.archives == 2
        assert [it.archive for it in versions(connection, "f")] == ["a2", "a1"]


def test_damage_found_by_a_later_question_removes_the_catalogue_and_names_it(
    tmp_path: Path, repository: MemoryRepository
) -> None:
    file = tmp_path / "catalogue.db"
    repository.add({"f": 1})
    with pytest.raises(CorruptCatalogue, match="damaged"), caught_up(file, repository):
        raise sqlite_error(sqlite3.SQLITE_CORRUPT)
    assert not file.exists()


@pytest.mark.parametrize(
    ("code", "named"),
    [
        (sqlite3.SQLITE_FULL, NoSpace),
        (sqlite3.SQLITE_CANTOPEN, ApplianceError),
        (sqlite3.SQLITE_IOERR_WRITE, ApplianceError),
        (sqlite3.SQLITE_READONLY, ApplianceError),
        (sqlite3.SQLITE_BUSY, Busy),
    ],
)
def test_a_good_catalogue_stays_when_its_disk_fails_at_opening_it(
    tmp_path: Path,
    repository: MemoryRepository,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    named: type[ApplianceError],
) -> None:
    file = tmp_path / "catalogue.db"
    repository.add({"f": 1})
    with caught_up(file, repository):
        pass
    before = file.read_bytes()

    def fails(path: Path) -> sqlite3.Connection:
        raise sqlite_error(code)

    monkeypatch.setattr(schema, "_open", fails)
    with pytest.raises(named):
        open_catalogue(file)
    assert file.read_bytes() == before


def sqlite_error(code: int) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError("as SQLite says it")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("last", ["a writer", "a reader"])
def test_a_catalogue_that_nobody_has_open_keeps_the_log_without_which_no_page_can_read_it(
    tmp_path: Path, last: str
) -> None:
    path = tmp_path / "catalogue.db"
    open_catalogue(path).close()
    if last == "a reader":
        read_catalogue(path).close()
    assert {it.name for it in tmp_path.iterdir()} == {"catalogue.db", "catalogue.db-wal", "catalogue.db-shm"}
