"""The catalogue says the same as a plain memory of every archive would, whatever comes and is pruned."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.borg.contents import Contents
from appliance.borg.errors import PathMissing
from appliance.borg.model import Item
from appliance.restore.catalogue import catch_up
from appliance.restore.schema import open_catalogue
from appliance.restore.search import contents_of, deleted, search, versions
from tests.unit.restore.memory_repository import Files, MemoryRepository, item, start


def paths(found: tuple[object, ...]) -> list[str]:
    return [entry.path for entry in found]  # type: ignore[attr-defined]


def test_a_file_is_one_row_with_its_versions_by_date(
    repository: MemoryRepository, catalogue: sqlite3.Connection
) -> None:
    for size in (1, 1, 2, 2):
        repository.add({"mairie/budget 2026.ods": size})
    assert catch_up(catalogue, repository).archives == 4
    (found,) = search(catalogue, "budget")
    assert (found.path, found.size, found.versions, found.deleted) == ("mairie/budget 2026.ods", 2, 2, False)
    newest, oldest = versions(catalogue, "mairie/budget 2026.ods")
    assert (newest.size, newest.archive, newest.current) == (2, "a4", True)
    assert (newest.first_seen_seconds, newest.last_seen_seconds) == (start("a3"), start("a4"))
    assert (oldest.size, oldest.archive, oldest.current) == (1, "a2", False)
    assert (oldest.first_seen_seconds, oldest.last_seen_seconds) == (start("a1"), start("a2"))
    assert oldest.mtime_seconds == 1001.0


TERMS = [
    ("deliberation", ["Conseil/Délibération 12.odt"]),
    ("DÉLIB", ["Conseil/Délibération 12.odt"]),
    ("12 conseil", ["Conseil/Délibération 12.odt"]),
    ("permis de construire", ["Urbanisme/Permis de construire.pdf"]),
    ("de", ["Urbanisme/Permis de construire.pdf", "Conseil/Délibération 12.odt"]),
    ("100%", ["a/100% sûr_.txt"]),
    ("r_.t", ["a/100% sûr_.txt"]),
    ('"', ['a/"quoted".txt']),
    ("odt", ["Conseil/Délibération 12.odt"]),
    ("rationd", []),
    ("", []),
    ("   ", []),
]


@pytest.mark.parametrize(("term", "expected"), TERMS)
def test_a_part_of_a_name_finds_it(
    repository: MemoryRepository, catalogue: sqlite3.Connection, term: str, expected: list[str]
) -> None:
    names = (
        "Conseil/Délibération 12.odt",
        "Urbanisme/Permis de construire.pdf",
        "a/100% sûr_.txt",
        'a/"quoted".txt',
    )
    repository.add(dict.fromkeys(names, 1))
    catch_up(catalogue, repository)
    assert paths(search(catalogue, term)) == expected


def test_nothing_outside_the_folder_is_found_or_counted(
    repository: MemoryRepository, catalogue: sqlite3.Connection
) -> None:
    repository.add({"rh/paie.ods": 1, "rh0/paie.ods": 1, "rh/sub/paie.ods": 1, "rhx": 1})
    repository.add({"x": 1})
    catch_up(catalogue, repository)
    assert set(paths(search(catalogue, "paie", folders=["rh"]))) == {"rh/paie.ods", "rh/sub/paie.ods"}
    assert set(paths(deleted(catalogue, folders=["/rh/"]))) == {"rh/paie.ods", "rh/sub/paie.ods"}
    assert search(catalogue, "paie", folders=["x"]) == ()


def test_where_shares_lie_on_the_machine_is_no_part_of_a_name(
    repository: MemoryRepository, catalogue: sqlite3.Connection
) -> None:
    folders = ["srv/shares/Documents Élus", "srv/shares/x"]
    names = ("srv/shares/Documents Élus/plan.odt", "srv/shares/Documents Élus/shares/élus.odt", "srv/shares/x/elus.odt")
    repository.add(dict.fromkeys(names, 1))
    catch_up(catalogue, repository)
    for term in ("srv", "documents", "x/", "us/plan", "srv plan"):
        assert search(catalogue, term, folders=folders) == (), term
    assert paths(search(catalogue, "shares", folders=folders)) == [names[1]]
    assert paths(search(catalogue, "elus", folders=folders)) == [names[2], names[1]]
    assert paths(search(catalogue, "plan.odt", folders=folders)) == [names[0]]
    assert set(paths(search(catalogue, "srv"))) == set(names), "who names no folder sees where things lie"


def test_deleted_files_come_latest_first(repository: MemoryRepository, catalogue: sqlite3.Connection) -> None:
    repository.add({"first": 1, "second": 1, "stays": 1, "back": 1})
    repository.add({"second": 1, "stays": 2})
    repository.add({"stays": 2, "back": 1})
    catch_up(catalogue, repository)
    assert paths(deleted(catalogue)) == ["second", "first"]
    assert paths(deleted(catalogue, since_seconds=start("a2"))) == ["second"]
    assert [found.deleted for found in search(catalogue, "first")] == [True]
    assert [version.current for version in versions(catalogue, "back")] == [True, False]


def test_names_that_are_not_utf8_survive(repository: MemoryRepository, catalogue: sqlite3.Connection) -> None:
    names = ("facture\udcff.pdf", "facture\ufffd.pdf", "facture\n.pdf")
    repository.add(dict.fromkeys(names, 1))
    catch_up(catalogue, repository)
    assert set(paths(search(catalogue, "facture"))) == set(names)
    assert versions(catalogue, "facture\udcff.pdf")[0].archive == "a1"


def test_a_later_name_of_a_hard_link_has_the_size_of_the_first(
    repository: MemoryRepository, catalogue: sqlite3.Connection
) -> None:
    repository.add([item("first", 700), Item("later", "hardlink", 0o644, "u", "g", 1, 1, 1700.0, 0, "first", True)])
    repository.add([item("later", 700)])
    catch_up(catalogue, repository)
    (only,) = versions(catalogue, "later")
    assert (only.size, only.kind, only.archive) == (700, "file", "a2")


def test_a_folder_has_no_versions_of_its_own(repository: MemoryRepository, catalogue: sqlite3.Connection) -> None:
    for hour in (1.0, 2.0, 3.0):
        repository.add([Item("dossier", "folder", 0o755, "u", "g", 1, 1, hour, 0, "", True)])
    catch_up(catalogue, repository)
    assert search(catalogue, "dossier")[0].versions == 1


def test_a_pruned_archive_takes_along_what_only_it_had(
    repository: MemoryRepository, catalogue: sqlite3.Connection
) -> None:
    repository.add({"only here": 1, "changed": 1})
    repository.add({"changed": 2})
    repository.add({"changed": 2})
    catch_up(catalogue, repository)
    del repository.kept["a1"]
    assert catch_up(catalogue, repository).pruned == 1
    assert search(catalogue, "only") == ()
    with pytest.raises(PathMissing):
        versions(catalogue, "only here")
    (left,) = versions(catalogue, "changed")
    assert (left.archive, left.first_seen_seconds) == ("a3", start("a2"))
    repository.add({"only here": 1})
    catch_up(catalogue, repository)
    assert paths(search(catalogue, "only")) == ["only here"]


def test_an_archive_that_comes_back_is_live_again_in_its_old_place(
    repository: MemoryRepository, catalogue: sqlite3.Connection
) -> None:
    for contents in ({"f": 1}, {"f": 2, "only here": 1}, {"f": 2, "only here": 1}, {"f": 3}):
        repository.add(contents)
    catch_up(catalogue, repository)
    before = versions(catalogue, "f"), versions(catalogue, "only here"), deleted(catalogue)
    for name in ("a2", "a3"):
        repository.prune(name)
    catch_up(catalogue, repository)
    assert [version.size for version in versions(catalogue, "f")] == [3, 1]
    assert search(catalogue, "only") == ()
    for name in ("a2", "a3"):
        repository.bring_back(name)
    assert catch_up(catalogue, repository).archives == 2
    assert (versions(catalogue, "f"), versions(catalogue, "only here"), deleted(catalogue)) == before
    assert paths(search(catalogue, "only")) == ["only here"]


def test_the_newest_archive_comes_back_as_the_newest(
    repository: MemoryRepository, catalogue: sqlite3.Connection
) -> None:
    for contents in ({"f": 1, "deleted": 1}, {"f": 2, "new": 1}):
        repository.add(contents)
    catch_up(catalogue, repository)
    repository.prune("a2")
    catch_up(catalogue, repository)
    assert (deleted(catalogue), versions(catalogue, "f")[0].current) == ((), True)
    repository.bring_back("a2")
    catch_up(catalogue, repository)
    assert paths(deleted(catalogue)) == ["deleted"]
    assert [(version.size, version.current) for version in versions(catalogue, "f")] == [(2, True), (1, False)]
    repository.add({"f": 2, "new": 1})
    catch_up(catalogue, repository)
    assert [version.archive for version in versions(catalogue, "new")] == ["a3"]


KNOWN = [
    ("f", Contents(1, 10)),
    ("dossier", Contents(5, 7)),
    ("dossier/sub", Contents(2, 5)),
    ("dossier/link", Contents(1, 0)),
    ("dossierx", Contents(1, 1)),
    ("absent", None),
]


@pytest.mark.parametrize(("path", "expected"), KNOWN)
def test_the_catalogue_counts_as_the_listing_of_an_archive_would(
    repository: MemoryRepository, catalogue: sqlite3.Connection, path: str, expected: Contents | None
) -> None:
    folders = [item("dossier", 0, "folder"), item("dossier/sub", 0, "folder"), item("dossier/link", 3, "symlink", "/")]
    files = [item("dossier/a", 2), item("dossier/sub/b", 5), item("dossierx", 1), item("f", 10)]
    repository.add([item("f", 9)])
    repository.add([*folders, *files])
    repository.add([item("f", 9)])
    catch_up(catalogue, repository)
    assert contents_of(catalogue, "a2", path) == expected
    assert contents_of(catalogue, "a4", path) is None


def test_the_catalogue_vouches_for_nothing_of_an_archive_that_reaches_outside(
    repository: MemoryRepository, catalogue: sqlite3.Connection
) -> None:
    repository.add([item("f", 1), item("a", 0, "symlink", "/etc"), item("a/passwd", 1)])
    repository.add([item("f", 1)])
    catch_up(catalogue, repository)
    assert contents_of(catalogue, "a1", "f") is None
    assert contents_of(catalogue, "a2", "f") == Contents(1, 1)


def test_a_folder_of_an_archive_with_hard_links_is_left_to_its_listing(
    repository: MemoryRepository, catalogue: sqlite3.Connection
) -> None:
    repository.add([item("d", 0, "folder"), item("d/first", 7), item("d/later", 0, "hardlink", "d/first")])
    catch_up(catalogue, repository)
    assert contents_of(catalogue, "a1", "d") is None
    assert contents_of(catalogue, "a1", "d/later") == Contents(1, 7)


def test_a_version_is_restored_from_the_newest_archive_still_kept(
    repository: MemoryRepository, catalogue: sqlite3.Connection
) -> None:
    for contents in ({"f": 1}, {"f": 1}, {"f": 1}, {"f": 2}):
        repository.add(contents)
    catch_up(catalogue, repository)
    del repository.kept["a3"]
    catch_up(catalogue, repository)
    assert [version.archive for version in versions(catalogue, "f")] == ["a4", "a2"]


def test_a_catch_up_that_is_cut_goes_on(repository: MemoryRepository, catalogue: sqlite3.Connection) -> None:
    repository.add({"f": 1})
    repository.add([item("f", 2), Item("x", "file", 0, "", "", 0, 0, float("nan"), 0, "", True)])
    with pytest.raises(ValueError, match="NaN"):
        catch_up(catalogue, repository)
    repository.kept["a2"].pop()
    assert catch_up(catalogue, repository).archives == 1
    assert [version.size for version in versions(catalogue, "f")] == [2, 1]


def test_a_catch_up_tells_how_far_it_is(repository: MemoryRepository, catalogue: sqlite3.Connection) -> None:
    for _ in range(3):
        repository.add({"f": 1})
    told: list[tuple[int, int]] = []
    catch_up(catalogue, repository, lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert catch_up(catalogue, repository).archives == 0


def test_another_repository_starts_an_empty_catalogue(tmp_path: Path, catalogue: sqlite3.Connection) -> None:
    first, second = MemoryRepository(tmp_path / "1", 1), MemoryRepository(tmp_path / "2", 2)
    first.add({"old": 1})
    second.add({"new": 1})
    catch_up(catalogue, first)
    assert catch_up(catalogue, second).paths == 1
    assert search(catalogue, "old") == ()
    assert paths(search(catalogue, "new")) == ["new"]


def test_only_its_owner_reads_the_file(tmp_path: Path, repository: MemoryRepository) -> None:
    repository.add({"f": 1})
    with closing(open_catalogue(tmp_path / "state/catalogue.db")) as connection:
        catch_up(connection, repository)
        modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "state").iterdir()}
    assert modes == {0o600}


@pytest.mark.parametrize("damage", [b"not a database at all", b"", None])
def test_a_damaged_or_older_catalogue_is_made_again(
    tmp_path: Path, repository: MemoryRepository, damage: bytes | None
) -> None:
    file = tmp_path / "catalogue.db"
    repository.add({"f": 1})
    with closing(open_catalogue(file)) as connection:
        catch_up(connection, repository)
        if damage is None:
            connection.execute("PRAGMA user_version = 999")
    if damage is not None:
        file.write_bytes(damage * 100)
    with closing(open_catalogue(file)) as connection:
        assert catch_up(connection, repository).archives == 1
        assert versions(connection, "f")[0].archive == "a1"


comings = st.lists(
    st.one_of(st.dictionaries(st.sampled_from("abc"), st.integers(0, 2)), st.integers(-6, 6), st.none()), max_size=20
)


@given(comings)
def test_whatever_goes_and_comes_back_every_kept_archive_is_told_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, comings: list[Files | int | None]
) -> None:
    folder = tmp_path_factory.mktemp("catalogue")
    repository = MemoryRepository(folder / "r")
    with closing(open_catalogue(folder / "c.db")) as connection:
        for step in [*comings, None]:
            if isinstance(step, dict):
                repository.add(step)
            elif step is None:
                catch_up(connection, repository)
            elif step < 0 and repository.gone:
                repository.bring_back(list(repository.gone)[step % len(repository.gone)])
            elif step >= 0 and len(repository.kept) > 1:
                repository.prune(list(repository.kept)[step % len(repository.kept)])
        for name, items in repository.kept.items():
            assert sorted(covered(connection, name)) == sorted((it.path, it.size) for it in items if it.path != ".")
        last = connection.execute("SELECT name FROM archive WHERE kept ORDER BY number DESC LIMIT 1").fetchone()
        newest = repository.kept[last[0]] if last else []  # by arrival: one that was gone may be seen late
        for path in "abc":
            current = [size for size, _, is_current in told(connection, path) if is_current]
            assert current == [it.size for it in newest if it.path == path]


def covered(connection: sqlite3.Connection, archive: str) -> list[tuple[str, int]]:
    """Return the files that the ranges give `archive`."""
    rows = connection.execute(
        "SELECT path.path, ver.size FROM path JOIN ver ON ver.path_id = path.id"
        " JOIN archive ON archive.number BETWEEN ver.first AND ver.last WHERE archive.kept AND archive.name = ?",
        (archive,),
    )
    return [(os.fsdecode(path), size) for path, size in rows]


NAMES = ["a", "b", "dossier/c", "dossier/d\udcff"]
Step = Files | int | None
"""A new archive with these contents, the pruning of the one at this place, or a catch-up."""

steps = st.lists(
    st.one_of(st.dictionaries(st.sampled_from(NAMES), st.integers(0, 2)), st.integers(0, 5), st.none()), max_size=14
)


@given(steps)
def test_the_catalogue_agrees_with_a_plain_memory(tmp_path_factory: pytest.TempPathFactory, steps: list[Step]) -> None:
    folder = tmp_path_factory.mktemp("catalogue")
    repository = MemoryRepository(folder / "r")
    seen: dict[str, Files] = {}
    with closing(open_catalogue(folder / "c.db")) as connection:
        for step in [*steps, None]:
            if isinstance(step, dict):
                repository.add(step)
            elif isinstance(step, int):
                if len(repository.kept) > 1:
                    del repository.kept[list(repository.kept)[step % (len(repository.kept) - 1)]]
            else:
                catch_up(connection, repository)
                seen |= {name: {i.path: i.size for i in items} for name, items in repository.kept.items()}
        for path in NAMES:
            assert told(connection, path) == expected(repository, seen, path)
        gone = {path for path in NAMES if (known := expected(repository, seen, path)) and not known[0][2]}
        assert set(paths(deleted(connection))) == gone


def told(connection: sqlite3.Connection, path: str) -> list[tuple[int, str, bool]]:
    try:
        return [(version.size, version.archive, version.current) for version in versions(connection, path)]
    except PathMissing:
        return []


def expected(repository: MemoryRepository, seen: dict[str, Files], path: str) -> list[tuple[int, str, bool]]:
    """The versions of `path`: runs of the same size over all archives ever seen, those with a kept archive."""
    runs: list[tuple[int, list[str]]] = []
    before: int | None = None
    for name, contents in seen.items():
        size = contents.get(path)
        if size is not None and size == before:
            runs[-1][1].append(name)
        elif size is not None:
            runs.append((size, [name]))
        before = size
    newest = next(reversed(repository.kept), None)
    known = [(size, [name for name in names if name in repository.kept]) for size, names in runs]
    return [(size, names[-1], names[-1] == newest) for size, names in reversed(known) if names]
