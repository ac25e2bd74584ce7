"""A tree laid out ahead is, after whatever changed, as borg would extract it; what did not change is not written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from appliance.borg.client import Borg
from appliance.borg.contents import Examination
from appliance.borg.model import Archive
from appliance.errors import NoSpace
from appliance.failover import warm_standby
from appliance.failover.warm_standby import Tree
from appliance.restore.fill import Fill
from tests.integration.borg.trees import everything_in

Change = Callable[[Path], object]


def fill(source: Path) -> None:
    for name in ("plain.txt", "with\nnewline", "tab\tand space ", "é" * 127 + "a", "-rf", "sh:*", "bad\udcff"):
        (source / name).write_bytes(f"content of {name}".encode(errors="surrogateescape"))
    (source / "folder/deep").mkdir(parents=True)
    (source / "folder/deep/file").write_text("deep")
    (source / "folder/empty").mkdir()
    os.symlink("deep", source / "folder/link")
    os.link(source / "plain.txt", source / "folder/second name")
    os.setxattr(source / "folder/deep/file", "user.note", b"kept")


def _file_for_folder(source: Path) -> None:
    shutil.rmtree(source / "folder/deep")
    (source / "folder/deep").write_text("a file now")


def _folder_for_file(source: Path) -> None:
    (source / "-rf").unlink()
    (source / "-rf/below").mkdir(parents=True)
    (source / "-rf/below/it").write_text("new")


def _folder_for_link(source: Path) -> None:
    """The target of the link has a file of the same name."""
    (source / "folder/link").unlink()
    (source / "folder/link").mkdir()
    (source / "folder/link/file").write_text("not deep's")


def _link_for_folder(source: Path) -> None:
    shutil.rmtree(source / "folder/deep")
    os.symlink("/nowhere", source / "folder/deep")


CHANGES: dict[str, Change] = {
    "content": lambda it: (it / "with\nnewline").write_text("other content"),
    "time": lambda it: os.utime(it / "-rf", ns=(10**18, 10**18 + 123_456_000)),
    "mode": lambda it: os.chmod(it / "sh:*", 0o1604),
    "mode-of-a-folder": lambda it: os.chmod(it / "folder", 0o2750),
    "attribute": lambda it: os.setxattr(it / "folder/deep/file", "user.note", b"other"),
    "gone": lambda it: (it / "folder/deep/file").unlink(),
    "folder-gone": lambda it: shutil.rmtree(it / "folder"),
    "new": lambda it: shutil.copytree(it / "folder", it / "new/below", symlinks=True),
    "renamed": lambda it: os.rename(it / "folder", it / "other"),
    "link": lambda it: ((it / "folder/link").unlink(), os.symlink("../plain.txt", it / "folder/link")),
    "third-name": lambda it: os.link(it / "plain.txt", it / "third"),
    "second-name-gone": lambda it: (it / "folder/second name").unlink(),
    "content-of-two-names": lambda it: (it / "plain.txt").write_text("more"),
    "file-for-folder": _file_for_folder,
    "folder-for-file": _folder_for_file,
    "folder-for-link": _folder_for_link,
    "link-for-folder": _link_for_folder,
}
TOGETHER = (
    ("content", "time", "attribute"),
    ("mode", "mode-of-a-folder", "gone", "link", "third-name"),
    ("renamed",),
    ("content-of-two-names", "folder-for-file", "folder-for-link", "link-for-folder"),
    ("file-for-folder", "second-name-gone", "new"),
    ("folder-gone",),
)


class Saved:
    """A source, its repository, and a tree of it."""

    def __init__(self, source: Path, borg: Borg, folder: Path) -> None:
        self.source = source
        self.borg = borg
        self.tree = Tree(folder / "ready", folder / "ready.json")

    def save(self, name: str) -> Archive:
        self.borg.create(name, ["."], cwd=self.source)
        return self.archive(name)

    def archive(self, name: str) -> Archive:
        return next(it for it in self.borg.archives() if it.name == name)

    def is_laid(self) -> bool:
        return everything_in(self.tree.folder) == everything_in(self.source)


@pytest.fixture
def saved(source: Path, borg: Borg, tmp_path: Path) -> Saved:
    fill(source)
    made = Saved(source, borg, tmp_path / "state")
    assert not made.tree.install_ahead(borg, lambda _: made.save("one"))
    assert made.is_laid()
    return made


@pytest.mark.parametrize("names", TOGETHER, ids=lambda names: names[0])
def test_a_tree_is_brought_forward_by_what_was_changed_alone(saved: Saved, names: tuple[str, ...]) -> None:
    inode = (saved.tree.folder / "tab\tand space ").stat().st_ino
    for name in names:
        CHANGES[name](saved.source)
    assert saved.tree.install_ahead(saved.borg, lambda _: saved.save("two"))
    assert saved.is_laid()
    assert (saved.tree.folder / "tab\tand space ").stat().st_ino == inode


@pytest.mark.parametrize(("share", "then"), [(0.0, "two"), (0.5, "three"), (0.5, "one")])
def test_a_cut_in_the_middle_is_gone_on_from(
    saved: Saved, monkeypatch: pytest.MonkeyPatch, share: float, then: str
) -> None:
    for name in ("content", "renamed", "folder-for-file", "content-of-two-names"):
        CHANGES[name](saved.source)
    saved.save("two")

    def cut(self: Borg, archive: str, paths: Sequence[str], into: Path, *seen: Examination) -> None:
        whole(self, archive, paths[: round(share * len(paths))], into, *seen)
        raise KeyboardInterrupt

    whole = Borg.extract_only
    monkeypatch.setattr(Borg, "extract_only", cut)
    with pytest.raises(KeyboardInterrupt):
        saved.tree.install_ahead(saved.borg, lambda _: saved.archive("two"))
    monkeypatch.setattr(Borg, "extract_only", whole)
    if then == "three":
        (saved.source / "with\nnewline").write_text("third content")
        saved.save("three")
    assert saved.tree.install_ahead(saved.borg, lambda _: saved.archive(then))
    if then == "one":
        assert saved.tree.install_ahead(saved.borg, lambda _: saved.archive("two"))
    assert saved.is_laid()


def test_what_cannot_be_brought_forward_is_laid_anew(saved: Saved) -> None:
    (saved.source / "bad\udcff").write_text("other content")
    assert not saved.tree.install_ahead(saved.borg, lambda _: saved.save("two")), "a name that is not known exactly"
    assert saved.is_laid()
    (saved.source / "plain.txt").write_text("other content")
    saved.save("three")
    saved.borg.delete([it.name for it in saved.borg.archives()[:-1]])
    assert not saved.tree.install_ahead(saved.borg, lambda _: saved.archive("three")), "what it was laid from is gone"
    assert saved.is_laid()
    saved.tree.mark.write_text("[half of")
    assert not saved.tree.install_ahead(saved.borg, lambda _: saved.archive("three")), "what it says is damaged"
    assert saved.is_laid()


def test_no_name_of_an_archive_leads_out_of_the_tree(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = saved.tree.folder.parent / "outside"
    outside.write_text("of somebody else")
    saved.save("two")
    monkeypatch.setattr(Borg, "differences", lambda *_: frozenset({"../outside", str(outside)}))
    assert not saved.tree.install_ahead(saved.borg, lambda _: saved.archive("two"))
    assert outside.read_text() == "of somebody else"


def test_what_is_taken_is_all_of_the_archive_and_leaves_nothing_behind(saved: Saved) -> None:
    CHANGES["content"](saved.source)
    inode = (saved.tree.folder / "plain.txt").stat().st_ino
    with saved.tree.taken(saved.borg, lambda _: saved.save("two")) as (folder, _):
        assert saved.is_laid()
        os.rename(folder / "plain.txt", saved.tree.mark.with_name("served"))
    assert saved.tree.mark.with_name("served").stat().st_ino == inode, "renamed, not written again"
    assert not saved.tree.folder.exists()
    assert not saved.tree.install_ahead(saved.borg, lambda _: saved.archive("two")), (
        "what was taken is not there any more"
    )
    assert saved.is_laid()


def test_a_disk_with_little_free_is_left_to_the_backups(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_standby, "LEFT_FREE", 1.0)
    shutil.rmtree(saved.tree.folder)
    with pytest.raises(NoSpace, match=r"its warm standby would take .*, and 0 B may be used for that"):
        saved.tree.install_ahead(saved.borg, lambda _: saved.archive("one"))
    with saved.tree.taken(saved.borg, lambda _: saved.archive("one")) as (folder, _):
        assert everything_in(folder) == everything_in(saved.source), "a takeover does not ask for that"


def test_a_tree_of_which_everything_goes_is_empty(saved: Saved) -> None:
    (saved.source / "bad\udcff").unlink()  # its name is not known exactly
    saved.tree.install_ahead(saved.borg, lambda _: saved.save("two"))
    for path in saved.source.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert saved.tree.install_ahead(saved.borg, lambda _: saved.save("three"))
    assert saved.is_laid()


def test_borg_is_asked_for_no_archive_of_the_generation_that_is_laid_and_for_that_of_any_other(saved: Saved) -> None:
    one, other = "00002.0000000007.aaaa", "00002.0000000007.bbbb"

    def never(archives: Sequence[Archive]) -> Archive:
        raise AssertionError("it is laid")

    saved.tree.install_ahead(saved.borg, lambda _: saved.archive("one"), one)
    assert saved.tree.install_ahead(saved.borg, never, one)
    (saved.source / "plain.txt").write_text("the other side")
    assert saved.tree.install_ahead(saved.borg, lambda _: saved.save("two"), other)
    assert saved.is_laid()
    with pytest.raises(AssertionError, match="it is laid"):
        saved.tree.install_ahead(saved.borg, never, one)
    with saved.tree.taken(saved.borg, never, other) as (folder, _):
        assert everything_in(folder) == everything_in(saved.source)


def test_a_tree_that_was_cut_while_it_was_brought_forward_is_of_no_generation(
    saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved.tree.install_ahead(saved.borg, lambda _: saved.archive("one"), "one")
    (saved.source / "plain.txt").write_text("more")

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Borg, "extract_only", cut)
        with pytest.raises(KeyboardInterrupt):
            saved.tree.install_ahead(saved.borg, lambda _: saved.save("two"), "two")
    for generation in ("one", "two"):
        with pytest.raises(NotADirectoryError, match="asked"):
            saved.tree.install_ahead(saved.borg, _asked, generation)
    assert saved.tree.install_ahead(saved.borg, lambda _: saved.archive("two"), "two")
    assert saved.is_laid()


class Partial(Saved):
    """A tree of archives that lack the folder "folder", which the archive "one" has."""

    def lay(self, name: str, *fills: Fill) -> bool:
        return self.tree.install_ahead(self.borg, lambda _: self.archive(name), "", lambda *_: fills)


@pytest.fixture
def partial(saved: Saved, tmp_path: Path) -> Partial:
    made = Partial(saved.source, saved.borg, saved.tree.folder.parent)
    os.rename(made.source / "folder", tmp_path / "unplugged")
    (made.source / "plain.txt").write_text("newer")
    made.save("two")
    return made


FROM_ONE = Fill("folder", "one")


def test_what_an_archive_lacks_is_laid_from_the_one_that_has_it_and_goes_when_it_is_whole_again(
    partial: Partial, tmp_path: Path
) -> None:
    assert partial.lay("two", FROM_ONE)
    assert (partial.tree.folder / "folder/deep/file").read_text() == "deep"
    assert (partial.tree.folder / "plain.txt").read_text() == "newer"
    inode = (partial.tree.folder / "folder/deep/file").stat().st_ino
    partial.save("three")
    assert partial.lay("three", FROM_ONE)
    assert (partial.tree.folder / "folder/deep/file").stat().st_ino == inode, (
        "what was filled alike is not written again"
    )
    os.rename(tmp_path / "unplugged", partial.source / "folder")
    (partial.source / "folder/deep/file").unlink()
    partial.save("four")
    assert partial.lay("four")
    assert partial.is_laid()


def test_what_was_filled_is_right_after_a_cut_in_the_middle(partial: Partial, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(warm_standby, "install_fills", cut)
        with pytest.raises(KeyboardInterrupt):
            partial.lay("two", FROM_ONE)
    assert partial.lay("two", FROM_ONE)
    assert (partial.tree.folder / "folder/link").is_symlink()
    assert (partial.tree.folder / "folder/deep/file").read_text() == "deep"


def test_a_tree_that_is_laid_anew_is_filled_too_and_tells_what_is_older(partial: Partial) -> None:
    shutil.rmtree(partial.tree.folder)
    with partial.tree.taken(partial.borg, lambda _: partial.archive("two"), "", lambda *_: (FROM_ONE,)) as (
        folder,
        filled,
    ):
        assert (folder / "folder/deep/file").read_text() == "deep"
        assert filled == (FROM_ONE,)


def _asked(archives: Sequence[Archive]) -> Archive:
    raise NotADirectoryError("asked")
