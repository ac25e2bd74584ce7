"""Nothing of an archive may be written outside the folder it is restored to."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.borg.contents import (
    REMEMBERED_BYTES_MAX,
    Contents,
    TooManyNames,
    WayBlocked,
    check_way,
    examined,
    together,
)
from appliance.borg.model import Item, Kind, Outline
from appliance.errors import IntegrityError


def item(path: str, kind: Kind = "file", target: str = "", size: int = 0) -> Item:
    return Item(path, kind, 0o644, "u", "g", 1, 1, 0.0, size, target, True)


HOSTILE = [
    [item("/etc/passwd")],
    [item("../up")],
    [item("a/../../up")],
    [item("a//b")],
    [item("")],
    [item("a\0b")],
    [item("a/" * 10_000 + "b")],
    [item("steal", "hardlink", "a\0b")],
    [item("a", "symlink", "/etc"), item("a/passwd")],
    [item("a/b/passwd"), item("a/b", "symlink", "/etc")],
    [item("a", "symlink", "/etc"), item("a/x/y/passwd")],
    [item("steal", "hardlink", "../../etc/shadow")],
    [item("steal", "hardlink", "/etc/shadow")],
    [item("a", "symlink", "/etc"), item("steal", "hardlink", "a/shadow")],
]


@pytest.mark.parametrize("items", HOSTILE)
def test_an_archive_that_reaches_outside_is_refused(items: list[Item]) -> None:
    with pytest.raises(IntegrityError, match="nothing was restored"):
        examined(items)


def test_a_usual_archive_is_counted() -> None:
    items = [
        item(".", "folder"),
        item("a", "folder"),
        item("a/b", size=10),
        item("a/c", "hardlink", "a/b"),
        item("ab", "symlink", "/etc"),
        item("a/..b", size=5),
    ]
    assert examined(items).contents() == Contents(entries=6, size=15)


@pytest.mark.parametrize(
    "items",
    [
        [item("a", "symlink", "/etc"), item("b", "hardlink", "a"), item("b/passwd")],
        [item("a", "fifo", "../../keys/sign")],
        [item("a", "char", "/etc/shadow")],
    ],
)
def test_a_name_of_something_else_is_as_dangerous_as_that(items: list[Item]) -> None:
    with pytest.raises(IntegrityError, match="nothing was restored"):
        examined(items)


@pytest.mark.parametrize("blocked", ["a", "a/b"])
def test_what_is_no_folder_in_the_destination_is_no_way(tmp_path: Path, blocked: str) -> None:
    place = tmp_path / blocked
    place.parent.mkdir(exist_ok=True)
    check_way(tmp_path, {"a", "a/b", "other"})
    place.symlink_to("/etc")
    with pytest.raises(WayBlocked, match=f'"{blocked}" is not a folder there'):
        check_way(tmp_path, {"a", "a/b", "other"})


def test_what_is_wanted_is_counted_and_what_stands_above_is_not() -> None:
    items = [item("a", "folder"), item("a/b", "folder"), item("a/b/c", size=10), item("a/bc", size=3)]
    seen = examined(items, ["a/b", "a/x", "a/b/c"])
    assert seen.contents() == Contents(entries=2, size=10)
    assert seen.found == {"a/b", "a/b/c"}


def test_what_one_archive_brings_may_not_lead_another_one_elsewhere() -> None:
    link, below, beside = ([item("a", "symlink", "/etc")], [item("a/passwd", size=1)], [item("b/passwd", size=1)])
    assert together([examined(link), examined(beside)]) == Contents(entries=2, size=1)
    with pytest.raises(IntegrityError, match="nothing was restored"):
        together([examined(link), examined(below)])


@pytest.mark.long
def test_a_million_files_are_examined_in_little_memory() -> None:
    seen = examined(Outline(f"docs/{number // 100}/{number}.odt", "file", 0o644, 1, "") for number in range(10**6))
    assert seen.contents() == Contents(entries=10**6, size=10**6)
    assert len(seen.folders) == 10_001
    assert seen.room > 0.99 * REMEMBERED_BYTES_MAX


@pytest.mark.parametrize(
    "usual",
    [
        lambda number: Outline(f"daily.9/{'d' * 100}/{number}.odt", "hardlink", 0o644, 0, f"daily.0/{number}.odt"),
        lambda number: Outline(f"docs/{'d' * 100}/{number}", "symlink", 0o777, 0, "/usr"),
        lambda number: Outline(f"docs/{'d' * 100}/{number}.odt", "file", 0o2664, 1, ""),
    ],
    ids=["hard links", "symlinks", "setgid files of a share"],
)
def test_millions_of_names_that_honest_archives_have_can_be_examined(usual: Callable[[int], Outline]) -> None:
    """Thirty daily copies of 100,000 files are hard links in one archive, and `chmod -R g+s` marks each file."""
    seen = examined(usual(number) for number in range(10**5))
    assert 100 * (REMEMBERED_BYTES_MAX - seen.room) < REMEMBERED_BYTES_MAX


def deep() -> str:
    return "/".join(["a"] * 4000)


@pytest.mark.parametrize(
    "hostile",
    [
        lambda number: Outline(f"{number}/{deep()}", "file", 0o644, 1, ""),
        lambda number: Outline(f"{number}", "hardlink", 0o644, 0, f"{number}/{deep()}"),
    ],
    ids=["deep folders", "hard links"],
)
def test_an_archive_with_more_names_than_may_be_remembered_is_refused_on_the_way(
    hostile: Callable[[int], Outline],
) -> None:
    read = itertools.count()
    with pytest.raises(
        TooManyNames, match=r"too many names to be examined at once; nothing was restored\. .*folder by folder"
    ):
        examined(hostile(next(read)) for _ in range(10**6))
    assert next(read) < 20_000


def test_a_name_that_is_shown_is_short_and_moves_no_cursor() -> None:
    with pytest.raises(IntegrityError) as told:
        examined([item("../\x1b[2J" + "x" * 10_000)])
    assert "\\x1b[2J" in told.value.what
    assert len(told.value.what) < 400
