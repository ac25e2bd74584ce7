"""A folder as it was on a day, what was deleted, and nothing of what is out of somebody's scope."""

from __future__ import annotations

import datetime
import sqlite3
from contextlib import closing
from pathlib import Path, PurePosixPath
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.borg.errors import PathMissing
from appliance.borg.model import Item
from appliance.errors import NotFound, UsageError
from appliance.restore.browse import Moment, by_day, children, days, moment_of, moment_on, moments
from appliance.restore.catalogue import catch_up
from appliance.restore.everywhere import find, find_gone, find_versions
from appliance.restore.gone import Gone, gone
from appliance.restore.model import Version
from appliance.restore.schema import open_catalogue, read_catalogue
from appliance.restore.scope import Scope, holds
from appliance.restore.search import search, versions
from tests.unit.restore.memory_repository import MemoryRepository, item, start

PARIS = ZoneInfo("Europe/Paris")
SHARE = "srv/shares/docs"


def tree(*paths: str, share: str = SHARE) -> list[Item]:
    """The share with these files, each with the folders above it."""
    folders = {"/".join(path.split("/")[:depth]) for path in paths for depth in range(1, path.count("/") + 1)}
    names = [item(share, 0, "folder"), *(item(f"{share}/{it}", 0, "folder") for it in sorted(folders))]
    return [*names, *(item(f"{share}/{it}", 10) for it in paths)]


def names(found: tuple[Gone, ...]) -> list[tuple[str, int]]:
    return [(it.path.removeprefix(f"{SHARE}/"), it.entries) for it in found]


def test_a_folder_is_shown_as_it_was_and_deeper_names_are_jumped_over(
    repository: MemoryRepository, catalogue: sqlite3.Connection
) -> None:
    repository.add(tree("a/deep/x", "a/b.txt", "a!", "a b", "a0", "Été.odt", "zèbre/y"))
    repository.add(tree("a/b.txt", "new"))
    catch_up(catalogue, repository)
    assert [it.name for it in children(catalogue, SHARE, "a1")] == ["a", "zèbre", "a b", "a!", "a0", "Été.odt"]
    assert [(it.name, it.kind) for it in children(catalogue, f"/{SHARE}/a/", "a1")] == [
        ("deep", "folder"),
        ("b.txt", "file"),
    ]
    assert [it.name for it in children(catalogue, SHARE, "a2")] == ["a", "new"]
    for folder, archive in ((f"{SHARE}/zèbre", "a2"), (f"{SHARE}/new", "a2"), (SHARE, "a9"), ("nowhere", "a1")):
        with pytest.raises(PathMissing):
            children(catalogue, folder, archive)


def test_a_moment_that_is_kept_no_more_is_the_last_before_it(
    repository: MemoryRepository, catalogue: sqlite3.Connection
) -> None:
    for _ in range(3):
        repository.add(tree("a"))
    catch_up(catalogue, repository)
    repository.prune("a2")
    catch_up(catalogue, repository)
    assert [moment_of(catalogue, name) for name in ("a1", "a2", "a3")] == [
        Moment(name, start(name)) for name in ("a1", "a1", "a3")
    ]
    assert moment_of(catalogue, "a9") is None
    repository.prune("a1")
    catch_up(catalogue, repository)
    assert moment_of(catalogue, "a1") is None


def test_names_that_are_not_utf8_are_browsed(repository: MemoryRepository, catalogue: sqlite3.Connection) -> None:
    repository.add(tree("d\udcff/f\udcfe", "d\udcff.txt"))
    catch_up(catalogue, repository)
    assert [it.name for it in children(catalogue, SHARE, "a1")] == ["d\udcff", "d\udcff.txt"]
    assert [it.name for it in children(catalogue, f"{SHARE}/d\udcff", "a1")] == ["f\udcfe"]


NAMES = st.lists(st.sampled_from(["a", "a!", "a0", "é", "z\udcff"]), min_size=1, max_size=3).map("/".join)
DAYS = st.lists(st.sets(NAMES, max_size=8), min_size=1, max_size=4)


@given(days_of_files=DAYS)
def test_a_folder_and_what_was_deleted_are_as_a_plain_memory_tells(
    tmp_path_factory: pytest.TempPathFactory, days_of_files: list[set[str]]
) -> None:
    folder = tmp_path_factory.mktemp("day")
    repository = MemoryRepository(folder / "r")
    present = [
        {it for it in names if not any(other.startswith(f"{it}/") for other in names)} for names in days_of_files
    ]
    for names in present:
        repository.add(tree(*sorted(names)))
    with closing(open_catalogue(folder / "catalogue.db")) as catalogue:
        catch_up(catalogue, repository)
        for number, names in enumerate(present, 1):
            for above in {"", *(it.rpartition("/")[0] for it in names)}:
                start_of = f"{above}/" if above else ""
                held = {it[len(start_of) :].split("/")[0] for it in names if it.startswith(start_of)}
                shown = children(catalogue, f"{SHARE}/{above}".strip("/"), f"a{number}")
                assert {it.name for it in shown} == held
                assert len(shown) == len(held)
        still = {it for path in present[-1] for it in (path, *map(str, PurePosixPath(path).parents))}
        lost = set().union(*present) - still
        told = [it.path.removeprefix(f"{SHARE}/") for it in gone(catalogue, folders=[SHARE], limit=99)]
        assert all(any(f"{path}/".startswith(f"{it}/") for it in told) for path in lost)
        assert still.isdisjoint(told)


def test_the_calendar_has_the_days_on_which_something_was_saved() -> None:
    def at(text: str) -> Moment:
        return Moment(text, datetime.datetime.fromisoformat(text).replace(tzinfo=PARIS).timestamp())

    found = [at("2026-10-24T23:30"), at("2026-10-25T00:30"), at("2026-10-25T20:00"), at("2026-10-28T08:00")]
    calendar = days(found, PARIS)
    assert {day.day: len(it) for day, it in calendar.items()} == {24: 1, 25: 2, 28: 1}
    on = {day: moment_on(found, datetime.date(2026, 10, day), PARIS) for day in (23, 25, 27, 31)}
    assert on == {23: None, 25: found[2], 27: found[2], 31: found[3]}


def test_a_deleted_folder_is_one_entry_and_what_had_left_it_before_another(
    repository: MemoryRepository, catalogue: sqlite3.Connection
) -> None:
    repository.add(tree("kept/x", "dir/sub/1", "dir/sub/2", "dir/3", "dir/early", "alone"))
    repository.add(tree("kept/x", "dir/sub/1", "dir/sub/2", "dir/3", "alone"))
    repository.add(tree("kept/x", "alone"))
    repository.add(tree("kept/x"))
    catch_up(catalogue, repository)
    found = gone(catalogue, folders=[SHARE])
    assert names(found) == [("alone", 1), ("dir", 5), ("dir/early", 1)]
    assert [(it.archive, it.size) for it in found] == [("a3", 10), ("a2", 30), ("a1", 10)]
    assert names(gone(catalogue, folders=[SHARE], limit=1, offset=1)) == [("dir", 5)]
    assert names(gone(catalogue, folders=[f"{SHARE}/dir"])) == [("dir/sub", 3), ("dir/3", 1), ("dir/early", 1)]


def test_of_a_share_that_went_its_contents_are_told(
    repository: MemoryRepository, catalogue: sqlite3.Connection
) -> None:
    repository.add(tree("dir/1", "2"))
    repository.add([])
    catch_up(catalogue, repository)
    assert names(gone(catalogue, folders=[SHARE])) == [("dir", 2), ("2", 1)]


def test_versions_come_by_the_day_they_were_first_saved() -> None:
    def version(day: int, hour: int) -> Version:
        seen = datetime.datetime(2026, 11, day, hour, tzinfo=PARIS).timestamp()
        return Version("x", "file", 1, seen, "a", seen, seen, False)

    grouped = by_day([version(25, 0), version(24, 23), version(24, 1)], PARIS)
    assert [(day.day, len(it)) for day, it in grouped.items()] == [(25, 1), (24, 2)]


SCOPES = [
    ({"docs": [SHARE]}, "srv/shares/docs/a", True),
    ({"docs": [SHARE]}, "srv/shares/docs", True),
    ({"docs": [SHARE]}, "srv/shares/docs2/a", False),
    ({"docs": [SHARE]}, "srv/shares/docs/../rh/a", False),
    ({"docs": [SHARE]}, "srv/shares/docs//a", False),
    ({"docs": [SHARE]}, "srv/shares/docs/a\0", False),
    ({"docs": []}, "srv/shares/docs/a", False),
    ({"other": None}, "srv/shares/docs/a", False),
    ({"docs": None}, "anything", True),
    ({"docs": ["/"]}, "anything", True),
    ({"docs": None}, "/etc/passwd", False),
    ({"docs": None}, "", False),
]


@pytest.mark.parametrize(("folders", "path", "inside"), SCOPES)
def test_what_is_out_of_scope_looks_as_if_it_did_not_exist(
    folders: dict[str, list[str] | None], path: str, inside: bool
) -> None:
    assert holds(Scope(folders).of("docs"), path) is inside
    if not inside:
        with pytest.raises(PathMissing, match="no version"):
            Scope(folders).check("docs", path)


def test_several_services_are_searched_within_scope_before_anything_is_counted(tmp_path: Path) -> None:
    catalogues = {}
    for number, name in enumerate(("docs-a", "docs-b", "rh")):
        repository = MemoryRepository(tmp_path / name, number)
        share = f"srv/shares/{name}"
        repository.add(tree("paie 1", "paie 2", "gone paie", share=share))
        repository.add(tree("paie 1", "paie 2", share=share))
        catalogues[name] = open_catalogue(tmp_path / f"{name}.db")
        catch_up(catalogues[name], repository)
    scope = Scope({"docs-a": ["srv/shares/docs-a"], "docs-b": None})
    found = find(catalogues, scope, "paie")
    assert {(service, it.path.rpartition("/")[2]) for service, it in found.hits} == {
        (service, name) for service in ("docs-a", "docs-b") for name in ("paie 1", "paie 2", "gone paie")
    }
    assert not found.more
    assert find(catalogues, scope, "paie", limit=5).more
    assert {service for service, _ in find_gone(catalogues, scope).hits} == {"docs-a", "docs-b"}
    assert len(find_gone(catalogues, scope, limit=1, offset=1).hits) == 1
    assert find(catalogues, Scope(), "paie").hits == ()
    assert len(find_versions(catalogues, scope, "docs-a", "srv/shares/docs-a/paie 1")) == 1
    for service, path in (("rh", "srv/shares/rh/paie 1"), ("docs-c", "x"), ("docs-a", "srv/shares/docs-a/no")):
        with pytest.raises(PathMissing, match="no version"):
            find_versions(catalogues, scope, service, path)
    for connection in catalogues.values():
        connection.close()


ODD_TERMS = ["'\"; --", "x\0y", "\ud800", "\udcff", "%_*^(", 'NEAR("a" "b")', "é" * 200, "- AND OR NOT"]


@pytest.mark.parametrize("term", ODD_TERMS)
def test_whatever_is_typed_is_only_a_name(
    repository: MemoryRepository, catalogue: sqlite3.Connection, term: str
) -> None:
    repository.add(tree("é" * 120, "a"))
    catch_up(catalogue, repository)
    assert search(catalogue, term) == ()
    with pytest.raises(UsageError, match="200 letters"):
        search(catalogue, "a" * 10_000)


def test_a_catalogue_is_read_without_being_made_or_changed(repository: MemoryRepository, tmp_path: Path) -> None:
    file = tmp_path / "catalogue.db"
    with pytest.raises(NotFound, match="not read yet"):
        read_catalogue(file)
    assert not file.exists()
    repository.add(tree("a"))
    with closing(open_catalogue(file)) as connection:
        catch_up(connection, repository)
    with closing(read_catalogue(file)) as reading:
        assert [it.start_seconds for it in moments(reading)] == [start("a1")]
        assert len(versions(reading, f"{SHARE}/a")) == 1
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reading.execute("DELETE FROM ver")
    file.write_text("no database at all")
    with pytest.raises(NotFound):
        read_catalogue(file)
