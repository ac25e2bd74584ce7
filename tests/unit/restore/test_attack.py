"""After a ransomware a safe date is proposed, and none is invented when nothing unusual is seen."""

from __future__ import annotations

import dataclasses
import sqlite3

import pytest

from appliance.borg.model import Item
from appliance.restore.attack import Attack, attacks, hit_files, observe
from appliance.restore.burst import Observed, bursts, busiest, window
from appliance.restore.catalogue import catch_up
from appliance_lab.corpus.plan import plan
from tests.unit.restore.memory_repository import MemoryRepository, item, start

SHARE = "srv/shares/docs"
Tree = dict[str, Item]


@pytest.fixture(scope="module")
def town_hall() -> Tree:
    """The documents of a town hall, as a corpus plans them."""
    planned = plan(4_000_000, 200, seed=7)
    return {it.path: written(it.path, it.size, it.mtime_ns / 1e9) for it in planned}


def written(path: str, size: int, seconds: float) -> Item:
    return dataclasses.replace(item(f"{SHARE}/{path}", size), mtime_seconds=seconds)


def encrypt(tree: Tree, at: float, *, count: int, ending: str = "", size: int = 512) -> Tree:
    """Ten files a minute are read and written again, under their name with `ending`."""
    after = dict(tree)
    for number, path in enumerate(sorted(tree)[:count]):
        del after[path]
        after[path + ending] = written(path + ending, tree[path].size + size, at + 6 * number)
    return after


def work(tree: Tree, at: float) -> Tree:
    """An hour of two people: three documents are saved, one is new, one is renamed."""
    paths = sorted(tree)
    after = {**tree, **{path: written(path, tree[path].size + 9, at + 600 * n) for n, path in enumerate(paths[:3])}}
    moved = after.pop(paths[9])
    return {**after, "new": written("new", 10, at), "renamed": dataclasses.replace(moved, path=f"{SHARE}/renamed")}


def save(repository: MemoryRepository, *trees: Tree) -> None:
    for tree in trees:
        repository.add([item(SHARE, 0, "folder"), *tree.values()])


def found(catalogue: sqlite3.Connection, repository: MemoryRepository) -> tuple[Attack, ...]:
    catch_up(catalogue, repository)
    return attacks(catalogue, folders=[SHARE])


@pytest.mark.parametrize("ending", ["", ".locked"])
def test_the_last_archive_before_the_burst_is_proposed(
    repository: MemoryRepository, catalogue: sqlite3.Connection, town_hall: Tree, ending: str
) -> None:
    today = work(town_hall, start("a1"))
    after = encrypt(today, start("a2") + 120, count=150, ending=ending)
    save(repository, town_hall, today, after, work(after, start("a3")))
    (attack,) = found(catalogue, repository)
    assert (attack.safe.archive, attack.hit, attack.ending) == ("a2", 150, ending)
    assert attack.burst.archives == ("a3",)
    assert (attack.burst.changed, attack.burst.gone) == ((0, 150) if ending else (150, 0))
    assert attack.burst.window == (start("a2") + 120, start("a2") + 120 + 15 * 60)
    listed = hit_files(catalogue, attack, folders=[SHARE], limit=200)
    assert {it.path for it in listed} == {today[path].path for path in sorted(today)[:150]}
    assert {it.archive for it in listed} == {"a2"}
    assert hit_files(catalogue, attack, folders=[SHARE], limit=1, offset=149) == listed[149:]
    assert attacks(catalogue, folders=["srv/shares/other"]) == ()


def test_an_attack_that_began_before_the_archive_is_undone_to_the_one_before(
    repository: MemoryRepository, catalogue: sqlite3.Connection, town_hall: Tree
) -> None:
    few = encrypt(town_hall, start("a2") - 30, count=4, ending=".crypt")
    spared = {path: it for path, it in few.items() if path in town_hall}
    many = {**few, **encrypt(spared, start("a2") + 1, count=170, ending=".crypt")}
    for path in sorted(spared)[:170]:
        del many[path]
    save(repository, town_hall, few, many)
    (attack,) = found(catalogue, repository)
    assert (attack.burst.safe, attack.safe.archive, attack.ending) == ("a2", "a1", ".crypt")
    assert attack.hit == 174


def test_an_attack_over_several_archives_is_one(
    repository: MemoryRepository, catalogue: sqlite3.Connection, town_hall: Tree
) -> None:
    half = encrypt(town_hall, start("a2") - 900, count=90)
    save(repository, town_hall, half, encrypt(half, start("a2") + 1, count=200, size=7), half)
    (attack,) = found(catalogue, repository)
    assert attack.burst.archives[:2] == ("a2", "a3")
    assert attack.safe.archive == "a1"


def test_work_imports_and_moves_are_no_attack(
    repository: MemoryRepository, catalogue: sqlite3.Connection, town_hall: Tree
) -> None:
    photos = {f"photo {n}": written(f"photo {n}", 900, start("a2") + n) for n in range(300)}
    moved = {path: dataclasses.replace(it, path=it.path.replace(SHARE, f"{SHARE}/old")) for path, it in photos.items()}
    busy = work(town_hall, start("a1"))
    save(repository, town_hall, busy, {**busy, **photos}, {**busy, **moved}, busy)
    assert found(catalogue, repository) == ()
    assert [(it.changed, it.gone) for it in observe(catalogue)] == [(3, 1), (0, 0), (0, 300), (0, 300)]


def test_nothing_is_proposed_where_nothing_was_saved_or_only_once(
    repository: MemoryRepository, catalogue: sqlite3.Connection, town_hall: Tree
) -> None:
    assert found(catalogue, repository) == ()
    save(repository, town_hall)
    assert found(catalogue, repository) == ()


def test_what_a_pruned_archive_saw_shows_in_the_next(
    repository: MemoryRepository, catalogue: sqlite3.Connection, town_hall: Tree
) -> None:
    after = encrypt(town_hall, start("a2") + 1, count=100)
    save(repository, town_hall, town_hall, after, {**after, "new": written("new", 1, start("a3"))})
    catch_up(catalogue, repository)
    repository.prune("a3")
    (attack,) = found(catalogue, repository)
    assert (attack.burst.archives, attack.safe.archive, attack.hit) == (("a4",), "a2", 100)


def seen(number: int, changed: int, gone: int = 0, rate: int = 0) -> Observed:
    """`rate` files a minute for ten minutes."""
    minutes = {number * 60 + it: rate for it in range(10)} if rate else {}
    return Observed(f"a{number}", number * 3600.0, f"a{number - 1}", (number - 1) * 3600.0, changed, gone, minutes)


def test_what_is_usual_here_decides() -> None:
    quiet = [seen(number, 2) for number in range(1, 9)]
    busy = [seen(number, 400, rate=40) for number in range(1, 9)]
    attack = seen(9, 500, rate=50)
    assert [it.archives for it in bursts([*quiet, attack])] == [("a9",)]
    assert bursts([*busy, attack]) == ()
    assert bursts(quiet) == bursts([]) == ()
    assert [it.safe for it in bursts([attack, *quiet, seen(10, 0, 70, rate=9)])] == ["a9", "a8"], "the latest first"


def test_files_that_were_dated_back_show_by_their_number_and_tell_no_time() -> None:
    quiet = [seen(number, 2) for number in range(3, 8)]
    (burst,) = bursts([seen(1, 1), seen(2, 5000), *quiet])
    assert (burst.safe, burst.window) == ("a1", None)
    assert bursts([seen(1, 1), seen(2, 40), *quiet]) == ()
    assert bursts([seen(1, 1), seen(2, 5000)]) == (), "with so little beside it, number alone says nothing"


def test_the_window_is_around_the_busiest_minute_and_ends_at_a_pause() -> None:
    assert window({}) is None
    assert busiest({}) == 0
    assert window({1: 1, 100: 30, 101: 40, 104: 9, 200: 1}) == (100, 105)
    assert window({100: 40, 106: 40}) == (100, 101)
    assert busiest({0: 5, 14: 5, 15: 7}) == 12
