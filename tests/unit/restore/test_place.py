"""Putting in place destroys nothing, wherever it is cut; every state is found in one place or the other."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import Refused
from appliance.restore.place import OUR_MARK, TargetChanged, keep_all, move_away, place_all, survey

Tree = dict[str, str]
"""Path to content; a path that ends with / is a folder, a content that starts with -> a symlink."""


def grow(root: Path, tree: Tree) -> Path:
    root.mkdir()
    for path, content in tree.items():
        if path.endswith("/"):
            (root / path).mkdir(parents=True, exist_ok=True)
            continue
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if content.startswith("->"):
            os.symlink(content[2:], root / path)
        else:
            (root / path).write_text(content)
    return root


def shape(root: Path) -> Tree:
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"->{os.readlink(path)}"
        elif path.is_dir():
            if not any(path.iterdir()):
                found[f"{name}/"] = ""
        else:
            found[name] = path.read_text()
    return found


def put_in_place(stage: Path, live: Path, kept: Path) -> None:
    changes = survey(stage, live)
    keep_all(live, changes, kept)
    place_all(stage, live, kept, changes)


# what is restored, what is there, what is there afterwards, what is kept
CASES: list[tuple[Tree, Tree, Tree, Tree]] = [
    ({"f": "new"}, {"f": "old", "g": "other"}, {"f": "new", "g": "other"}, {"f": "old"}),
    ({"a/f": "new"}, {"b": ""}, {"a/f": "new", "b": ""}, {}),
    ({"a/b/f": "new"}, {"a/b/g": "mine", "a/h": "mine"}, {"a/b/f": "new", "a/b/g": "mine", "a/h": "mine"}, {}),
    ({"a/b/f": "new"}, {"a/b/f": "old"}, {"a/b/f": "new"}, {"a/b/f": "old"}),
    ({"a": "file"}, {"a/x": "1", "a/y/z": "2"}, {"a": "file"}, {"a/x": "1", "a/y/z": "2"}),
    ({"a/x": "new"}, {"a": "file"}, {"a/x": "new"}, {"a": "file"}),
    ({"a": "->/etc"}, {"a/x": "1"}, {"a": "->/etc"}, {"a/x": "1"}),
    ({"a": "new"}, {"a": "->/etc/passwd"}, {"a": "new"}, {"a": "->/etc/passwd"}),
    ({"a/": ""}, {"a/x": "1"}, {"a/x": "1"}, {}),
    ({"bad\udcff\n": "new"}, {"bad\udcff\n": "old"}, {"bad\udcff\n": "new"}, {"bad\udcff\n": "old"}),
]


@pytest.mark.parametrize(("restored", "there", "after", "kept"), CASES)
def test_the_new_takes_its_place_and_the_old_is_kept(
    tmp_path: Path, restored: Tree, there: Tree, after: Tree, kept: Tree
) -> None:
    stage, live = grow(tmp_path / "stage", restored), grow(tmp_path / "live", there)
    put_in_place(stage, live, tmp_path / "kept")
    assert shape(live) == after
    assert shape(tmp_path / "kept") == kept
    assert shape(stage) == {}


class Cut(BaseException):
    """The machine stops here."""


MUTATIONS = ("rename", "link", "unlink", "rmdir", "mkdir", "fchmod")


def cut_after(monkeypatch: pytest.MonkeyPatch, number: int) -> Callable[[], int]:
    """Let `number` changes of the disk happen, then stop; the returned function tells how many happened."""
    done = 0

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal done
            if done >= number:
                raise Cut
            result = original(*args, **kwargs)
            done += 1
            return result

        return call

    for name in MUTATIONS:
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    return lambda: done


def every_cut(case: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Run `case` cut after each of its changes of the disk in turn; yield after each cut, repaired `os` at hand."""
    for number in range(1000):
        with monkeypatch.context() as patch:
            happened = cut_after(patch, number)
            try:
                case()
            except Cut:
                pass
            else:
                assert happened() == number
                return
        yield number
    raise AssertionError("the case never ends")


@pytest.mark.parametrize(("restored", "there", "after", "kept"), CASES)
def test_cut_after_any_change_nothing_is_lost_and_the_next_run_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored: Tree, there: Tree, after: Tree, kept: Tree
) -> None:
    rounds = tmp_path / "0"
    rounds.mkdir()
    stage, live = grow(rounds / "stage", restored), grow(rounds / "live", there)

    def case() -> None:
        put_in_place(stage, live, rounds / "kept")

    for number in every_cut(case, monkeypatch):
        old = {content for path, content in there.items() if not path.endswith("/")}
        new = {content for path, content in restored.items() if not path.endswith("/")}
        everything = [*shape(live).values(), *shape(stage).values(), *shape_of(rounds, "kept*").values()]
        assert old | new <= set(everything), f"lost after change {number}"
        put_in_place(stage, live, rounds / "kept")
        assert shape(live) == after
        assert shape_of(rounds, "kept*") == kept
        rounds = tmp_path / str(number + 1)
        rounds.mkdir()
        stage, live = grow(rounds / "stage", restored), grow(rounds / "live", there)


def shape_of(root: Path, pattern: str) -> Tree:
    found: Tree = {}
    for folder in sorted(root.glob(pattern)):
        found |= {path: content for path, content in shape(folder).items() if not path.endswith("/")}
    return found


def test_a_folder_that_became_a_link_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    outside = grow(tmp_path / "outside", {"f": "outside"})
    stage = grow(tmp_path / "stage", {"a/f": "new", "b": "new"})
    live = grow(tmp_path / "live", {"a": f"->{outside}", "b": "old"})
    with pytest.raises(Refused, match="never follows"):
        put_in_place(stage, live, tmp_path / "kept")
    assert shape(live) == {"a": f"->{outside}", "b": "old"}
    assert shape(outside) == {"f": "outside"}


def test_a_folder_swapped_for_a_link_meanwhile_leads_nowhere(tmp_path: Path) -> None:
    outside = grow(tmp_path / "outside", {"f": "outside"})
    stage, live = grow(tmp_path / "stage", {"a/f": "new"}), grow(tmp_path / "live", {"a/f": "old"})
    changes = survey(stage, live)
    os.rename(live / "a", live / "moved")
    os.symlink(outside, live / "a")
    with pytest.raises(Refused):
        keep_all(live, changes, tmp_path / "kept")
    place_all(stage, live, tmp_path / "kept", changes)
    assert shape(outside) == {"f": "outside"}
    assert shape(live)["moved/f"] == "old"


def test_what_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    stage, live = grow(tmp_path / "stage", {"f": "new"}), grow(tmp_path / "live", {})
    changes = survey(stage, live)
    (live / "f").write_text("just written")
    with pytest.raises(TargetChanged, match="appeared"):
        place_all(stage, live, tmp_path / "kept", changes)
    put_in_place(stage, live, tmp_path / "kept")
    assert shape(live) == {"f": "new"}
    assert shape(tmp_path / "kept") == {"f": "just written"}


def test_what_is_saved_again_meanwhile_is_kept_too(tmp_path: Path) -> None:
    stage, live = grow(tmp_path / "stage", {"f": "new"}), grow(tmp_path / "live", {"f": "old"})
    changes = survey(stage, live)
    keep_all(live, changes, tmp_path / "kept")
    (live / "other").write_text("edited meanwhile")
    os.rename(live / "other", live / "f")
    place_all(stage, live, tmp_path / "kept", changes)
    assert shape(tmp_path / "kept") == {"f": "old"}
    assert shape(tmp_path / "kept-1") == {"f": "edited meanwhile"}


def test_the_kept_folders_have_the_rights_of_the_real_ones(tmp_path: Path) -> None:
    stage, live = grow(tmp_path / "stage", {"rh/f": "new"}), grow(tmp_path / "live", {"rh/f": "old"})
    os.chmod(live / "rh", 0o2750)
    put_in_place(stage, live, tmp_path / "kept")
    assert (tmp_path / "kept").stat().st_mode & 0o7777 == 0o700
    assert (tmp_path / "kept/rh").stat().st_mode & 0o7777 == 0o2750


def test_a_folder_is_placed_whole_with_its_hard_links_and_times(tmp_path: Path) -> None:
    stage, live = grow(tmp_path / "stage", {"a/f": "x", "a/sub/g": "y"}), grow(tmp_path / "live", {})
    os.link(stage / "a/f", stage / "a/h")
    os.chmod(stage / "a/sub", 0o555)
    os.utime(stage / "a", ns=(1, 1_000_000_000_000_000_001))
    put_in_place(stage, live, tmp_path / "kept")
    assert (live / "a/f").samefile(live / "a/h")
    assert (live / "a").stat().st_mtime_ns == 1_000_000_000_000_000_001
    assert (live / "a/sub").stat().st_mode & 0o777 == 0o555


def test_taking_away_keeps_and_is_safe_to_repeat(tmp_path: Path) -> None:
    live = grow(tmp_path / "live", {"a/f": "1", "d/x": "2"})
    for _ in range(2):
        move_away(live, "a/f", tmp_path / "kept")
        move_away(live, "d", tmp_path / "kept")
        move_away(live, "never/was", tmp_path / "kept")
    assert shape(live) == {"a/": ""}
    assert shape(tmp_path / "kept") == {"a/f": "1", "d/x": "2"}


@pytest.mark.root
def test_another_disk_gets_whole_copies(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", other], check=True)
    try:
        stage = grow(tmp_path / "stage", {"a/f": "new", "b/g": "new", "c": "new"})
        os.link(stage / "b/g", stage / "b/h")
        live = grow(other / "live", {"a/f": "old", "c/x": "old folder"})
        os.utime(live / "a/f", ns=(1, 1_000_000_000_000_000_001))
        put_in_place(stage, live, tmp_path / "kept")
        assert shape(live) == {"a/f": "new", "b/g": "new", "b/h": "new", "c": "new"}
        assert (live / "b/g").samefile(live / "b/h")
        assert shape(tmp_path / "kept") == {"a/f": "old", "c/x": "old folder"}
        assert (tmp_path / "kept/a/f").stat().st_mtime_ns == 1_000_000_000_000_000_001
        assert shape(stage) == {}
    finally:
        subprocess.run(["umount", other], check=True)


@pytest.fixture
def other_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be renamed into another folder, as between disks; names of ours within one can."""
    rename = os.rename

    def within_one(source: Any, target: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        if src_dir_fd != dst_dir_fd:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "rename", within_one)


def test_a_copy_that_a_full_disk_cut_among_what_is_put_back_stops_nothing(tmp_path: Path) -> None:
    stage, live = grow(tmp_path / "stage", {"night/a": "kept"}), grow(tmp_path / "live", {"night/a": "restored"})
    (stage / "night" / OUR_MARK).write_text("half")
    put_in_place(stage, live, tmp_path / "kept")
    assert shape(live) == {"night/a": "kept"}
    assert not (stage / "night").exists()


@pytest.mark.usefixtures("other_disk")
def test_a_folder_on_its_way_to_another_disk_goes_on_with_the_file_that_was_cut(tmp_path: Path) -> None:
    tree = {"night/a": "whole", "night/b": "half and more", "night/c": "not yet", "night/d/e": "not yet"}
    stage, live = grow(tmp_path / "stage", tree), grow(tmp_path / "live", {})
    under_way = live / OUR_MARK
    shutil.copytree(stage / "night", under_way, ignore=shutil.ignore_patterns("c", "d"))
    (under_way / "b").write_text("half")
    (under_way / "left").write_text("of something else")
    kept = (under_way / "a").stat().st_ino
    put_in_place(stage, live, tmp_path / "kept")
    assert shape(live) == tree
    assert (live / "night/a").stat().st_ino == kept, "what was whole is not copied again"


@pytest.mark.usefixtures("other_disk")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of others")
def test_a_copy_that_somebody_else_put_there_is_not_gone_on_with(tmp_path: Path) -> None:
    stage, live = grow(tmp_path / "stage", {"night/a": "true"}), grow(tmp_path / "live", {})
    shutil.copytree(stage / "night", live / OUR_MARK)
    times = (stage / "night/a").stat()
    (live / OUR_MARK / "a").write_text("lies")
    os.utime(live / OUR_MARK / "a", ns=(times.st_atime_ns, times.st_mtime_ns))
    os.chown(live / OUR_MARK, 12345, 12345)
    put_in_place(stage, live, tmp_path / "kept")
    assert shape(live) == {"night/a": "true"}
