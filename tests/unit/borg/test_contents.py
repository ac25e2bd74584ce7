"""Nothing of an archive may be written outside the folder it is restored to."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.borg.contents import Contents, WayBlocked, check_way, examined, together
from appliance.borg.model import Item, Kind
from appliance.errors import IntegrityError


def item(path: str, kind: Kind = "file", target: str = "", size: int = 0) -> Item:
    return Item(path, kind, 0o644, "u", "g", 1, 1, 0.0, size, target, True)


HOSTILE = [
    [item("/etc/passwd")],
    [item("../up")],
    [item("a/../../up")],
    [item("a//b")],
    [item("")],
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
    with pytest.raises(WayBlocked, match=f'"{blocked}" is no folder there'):
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
