"""The bytes that a branch may add to the repository of its service, and that it would add at most."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.borg import argv
from appliance.borg.client import Borg
from appliance.borg.model import Archive, Item, Repository
from appliance.borg.names import is_checkpoint
from appliance.branches import known as known_branch
from appliance.branches.archive import SECONDS_MAX, Room, added_bytes, common_archive, room_for, save_branch
from appliance.branches.known import is_known
from appliance.branches.store import Branch, branches
from appliance.clock import utc_seconds
from appliance.errors import NoSpace, UsageError
from appliance.host.command import CommandTimeout
from appliance.host.files import make_private_folder
from appliance.host.layout import NodeLayout
from appliance.units import DAY, GIB, MIB
from tests.worlds.demo import signed_territory

MOMENT = 1_800_000_000.0
SERVED = "docs-a-3.9"
BRANCH = Branch("docs-a", 2, Path("/var/branches/2"))


class Known(Borg):
    """A repository whose newest archive has these files."""

    def __init__(self, *items: Item, served: Sequence[Item] | None = None, hashes: Mapping[str, str] = {}) -> None:
        """`served`: the items of the archive that was just made, those of the newest one by default."""
        super().__init__(Repository(Path("/r"), Path("/b")))
        self._known = items
        self._served = items if served is None else served
        self._hashes = hashes

    def archives(self, *, branches: bool = False) -> tuple[Archive, ...]:
        return (Archive("docs-a-2.1", "1", MOMENT),)

    def items(
        self, archive: str, under: str | None = None, *, with_above: bool = False, exact: bool = True
    ) -> Iterator[Item]:
        yield from self._served if archive == SERVED else self._known

    def sha256_of(self, archive: str, paths: Sequence[str]) -> dict[str, str]:
        return {path: self._hashes[path] for path in paths if path in self._hashes}


def item(path: str, size: int) -> Item:
    return Item(path, "file", 0o600, "a", "a", 0, 0, MOMENT, size, "", True)


def write(path: Path, size: int, moment: float = MOMENT) -> None:
    make_private_folder(path.parent)
    path.write_bytes(b"x" * size)
    os.utime(path, (moment, moment))


def test_only_files_that_the_newest_archive_does_not_have_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "srv/same", 1000)
    write(tmp_path / "srv/grown", 2000)
    write(tmp_path / "srv/later", 4000, MOMENT + 1)
    write(tmp_path / "srv/new", 8000)
    os.symlink("new", tmp_path / "srv/link")
    borg = Known(item("srv/same", 1000), item("srv/grown", 1), item("srv/later", 4000), item("srv/gone", 16000))
    assert added_bytes(borg, tmp_path) - 4 * 128 == 2000 + 4000 + 8000
    assert added_bytes(Known(), tmp_path) - 4 * 128 == 15_000


def known(folder: Path, *items: Item, base: str = "docs-a-2.1", **more: Any) -> bool:
    return is_known(Known(*items, **more), base, SERVED, folder, ("/srv/docs",))


def test_a_branch_is_known_when_it_has_just_what_the_archive_has(tmp_path: Path) -> None:
    write(tmp_path / "srv/docs/a", 1000)
    (tmp_path / "srv/docs/b").hardlink_to(tmp_path / "srv/docs/a")
    os.symlink("a", tmp_path / "srv/docs/link")
    os.symlink("sub", tmp_path / "srv/docs/sub-link")
    (tmp_path / "srv/docs/empty").mkdir()
    file = item("srv/docs/a", 1000)
    second = replace(file, path="srv/docs/b", kind="hardlink", size=0, link_target="srv/docs/a")
    link = replace(file, path="srv/docs/link", kind="symlink", size=1, link_target="a")
    to_folder = replace(link, path="srv/docs/sub-link", link_target="sub")
    elsewhere = replace(file, path="srv/docs-of-others")
    folder = replace(file, path="srv/docs", kind="folder", size=0)
    whole = (file, second, link, to_folder)
    assert known(tmp_path, *whole, elsewhere, folder)
    for other in (
        whole[1:],
        (*whole, replace(file, path="srv/docs/gone")),
        (replace(file, size=999), *whole[1:]),
        (replace(file, mtime_seconds=MOMENT + 1), *whole[1:]),
        (file, second, replace(link, link_target="b"), to_folder),
        (file, replace(second, link_target="srv/docs-of-others"), link, to_folder),
        (replace(file, kind="symlink", link_target="a"), *whole[1:]),
        (*whole, replace(file, path="srv/docs/?")),
    ):
        assert not known(tmp_path, *other), other


def test_a_branch_is_known_when_what_is_served_has_what_the_common_archive_lacks(tmp_path: Path) -> None:
    """A merge of it would bring nothing: each file is in one of the two, and what others wrote since does not count."""
    for name, size in (("same", 10), ("changed-since", 20), ("written-twice", 30)):
        write(tmp_path / f"srv/docs/{name}", size)
    same, since, twice = (
        item("srv/docs/same", 10),
        item("srv/docs/changed-since", 20),
        item("srv/docs/written-twice", 30),
    )
    new = item("srv/docs/by-others", 5)
    assert known(tmp_path, same, since, served=(same, replace(since, size=21), twice, new))
    assert not known(tmp_path, same, since, served=(same, since, new)), "only the branch has the third"
    gone = item("srv/docs/removed-here", 7)
    assert not known(tmp_path, same, since, twice, gone, served=(same, since, twice, gone)), "it is still served"
    assert known(tmp_path, same, since, twice, gone, served=(same, since, twice)), "both sides removed it"
    assert known(tmp_path, base="", served=(same, since, twice, gone)), "what was removed cannot be told any more"


def test_content_is_read_where_only_the_time_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "srv/docs/a", 10, MOMENT + 60)
    file, alike = item("srv/docs/a", 10), hashlib.sha256(b"x" * 10).hexdigest()
    assert known(tmp_path, file, hashes={"srv/docs/a": alike})
    assert not known(tmp_path, file, hashes={"srv/docs/a": "0" * 64})
    assert not known(tmp_path, replace(file, size=11), hashes={"srv/docs/a": alike})
    monkeypatch.setattr(known_branch, "READ_BYTES_MAX", 9)
    assert not known(tmp_path, file, hashes={"srv/docs/a": alike}), "it would take long, and nothing moves meanwhile"


def test_an_archive_that_was_begun_and_sealed_within_a_second_is_the_common_one() -> None:
    """A header tells whole seconds, an archive parts of them: the archive before was taken for what both have."""

    class Chained:
        def names(self) -> tuple[str, ...]:
            return "00002.0000000001.aaaaaaaaaaaaaaaa", "00003.0000000001.bbbbbbbbbbbbbbbb"

        def header(self, name: str) -> Any:
            first = name.startswith("00002")
            digest, previous = ("a" * 64, "0" * 64) if first else ("b" * 64, "a" * 64)
            return SimpleNamespace(previous=previous, time="2026-11-25T10:00:00Z", id=SimpleNamespace(digest=digest))

    class Archived(Known):
        def archives(self, *, branches: bool = False) -> tuple[Archive, ...]:
            sealed = utc_seconds("2026-11-25T10:00:00Z")
            return tuple(Archive(name, name, sealed + at) for name, at in (("old", -60), ("common", 0.4), ("after", 1)))

    found = common_archive(Chained(), Archived(), 2)  # type: ignore[arg-type]
    assert found is not None
    assert found.name == "common"


@pytest.mark.parametrize(
    ("room", "says"),
    [
        (Room(disk=MIB, peers=GIB), "on this disk"),
        (Room(disk=GIB, peers=MIB), "at its peers"),
        (Room(disk=0, peers=0), "at its peers"),
    ],
)
def test_a_branch_that_does_not_fit_is_refused_by_a_sentence_with_what_to_do(room: Room, says: str) -> None:
    room.check(BRANCH, min(room.disk, room.peers))
    with pytest.raises(NoSpace, match=says) as refused:
        room.check(BRANCH, min(room.disk, room.peers) + 1)
    assert "appliance failover merge docs-a --branch 2 --leave" in refused.value.remedy


def test_peers_keep_half_a_day_and_the_reserve_of_an_epoch_for_the_service(tmp_path: Path) -> None:
    terms = signed_territory(tmp_path / "t").open("commune-a").bundle.terms("docs-a")
    wide = replace(terms, service=replace(terms.service, quota_bytes=100 * GIB, change_bytes_per_day=0))
    assert room_for(wide, 0, tmp_path).peers == GIB // 2
    tight = replace(wide, service=replace(wide.service, quota_bytes=10 * GIB))
    assert room_for(tight, 7 * GIB - MIB, tmp_path).peers == MIB
    assert room_for(tight, 8 * GIB, tmp_path).peers == 0
    assert wide.service.lock_seconds >= DAY


def test_a_branch_is_left_once_a_person_said_that_nothing_of_it_is_wanted(tmp_path: Path) -> None:
    layout = NodeLayout(tmp_path)
    folder = layout.service("docs-a").branches
    for epoch, told in ((2, None), (3, {"merged": True}), (4, {"merged": False}), (5, {})):
        make_private_folder(folder / str(epoch))
        if told is not None:
            (folder / f"{epoch}.json").write_text(json.dumps(told))
    (folder / "2.refused").write_text("{}")
    assert [(it.epoch, it.is_left) for it in branches(layout, "docs-a")] == [
        (2, False),
        (3, False),
        (4, True),
        (5, False),
    ]


def test_borg_is_never_asked_to_delete_without_the_name_of_an_archive() -> None:
    with pytest.raises(UsageError):
        argv.delete(Path("/r"), [])
    part = "docs-a.branch-2-2026-11-25T08:00:00Z.checkpoint"
    assert argv.delete(Path("/r"), [part]) == ("delete", "--", "/r", part)


def test_checkpoints_are_told_apart_by_their_end() -> None:
    names = ("docs-a-1.2-2026-11-25T08:00:00Z-1", "docs-a.branch-2-2026.checkpoint", "docs-a-1.3-2026.checkpoint.1")
    assert [is_checkpoint(it) for it in names] == [False, True, True]


def test_one_that_takes_too_long_says_how_it_gets_more_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_long(*_: object, timeout_seconds: float, **__: object) -> None:
        raise CommandTimeout(f"borg did not end within {timeout_seconds:.0f} s.")

    monkeypatch.setattr(Borg, "create", too_long)
    with pytest.raises(CommandTimeout, match="within 600 s") as late:
        save_branch(Known(), Branch("docs-a", 2, tmp_path), MOMENT, SECONDS_MAX)
    assert "`appliance backup run docs-a` gives it 1 h" in late.value.remedy
