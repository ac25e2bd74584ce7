"""Whatever the holder of a key wrote into an archive: nothing of it lies, or is read, elsewhere than in the folder that
it is extracted to, and no code of it runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from appliance.backup.writer import manifests
from appliance.backup.writer.filling import filling_of, lacking_of
from appliance.backup.writer.manifest import LeftOut, Manifest, PathManifest, encode
from appliance.borg import client
from appliance.borg.client import Borg
from appliance.borg.contents import Examination, WayBlocked
from appliance.borg.errors import AccessDenied, BorgFailed, PathMissing
from appliance.borg.names import archive_name, companion_name
from appliance.errors import IntegrityError
from appliance.failover.warm_standby import Tree
from appliance.host import confined
from appliance.host.confined import why_not
from appliance.restore.fill import Fill, install_fills
from appliance.units import MIB
from tests.integration.borg.hostile import HOSTILE, TAKEN, Entries, file, folder, forge, hardlink, symlink
from tests.integration.borg.trees import everything_in


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The node's keys beside the folder that archives are extracted into."""
    made = tmp_path / "state/keys"
    made.mkdir(parents=True)
    (made / "sign").write_text("the node's own key")
    return made


@pytest.fixture(params=HOSTILE)
def hostile(request: pytest.FixtureRequest, borg: Borg, keys: Path) -> Borg:
    forge(borg.repository, "hostile", HOSTILE[request.param](keys))
    return borg


def untouched(keys: Path, tree: Path) -> bool:
    """Whether the key is as it was, is the only one, and no file of the tree is it."""
    key = keys / "sign"
    inodes = {path.lstat().st_ino for path in tree.rglob("*")} if tree.is_dir() else set()
    return key.read_text() == "the node's own key" and os.listdir(keys) == ["sign"] and key.stat().st_ino not in inodes


def test_a_hostile_archive_is_refused_before_anything_is_written(hostile: Borg, keys: Path) -> None:
    into = keys.parent / "laid"
    with pytest.raises(IntegrityError, match=r"nothing was restored\. .*older archive"):
        hostile.extract("hostile", (), into)
    assert not any(into.iterdir())
    assert untouched(keys, into)


@pytest.mark.skipif(why_not() != "", reason=f"this kernel confines nothing: {why_not()}")
def test_without_the_examination_the_kernel_still_keeps_it_in_its_folder(
    hostile: Borg, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second wall by itself: borg is let loose on the archive, and reaches the folder and its own files only."""
    monkeypatch.setattr(Examination, "fault", lambda seen: None)
    monkeypatch.setattr(client, "check_way", lambda into, folders: None)
    into = keys.parent / "laid"
    with suppress(BorgFailed, AccessDenied):
        hostile.extract("hostile", (), into)
    assert untouched(keys, into)


@pytest.mark.parametrize("name", ["symlink-and-file-below", "in-and-up", "hard-link-to-outside"])
def test_without_both_walls_a_hostile_archive_gets_out(
    borg: Borg, keys: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """This proves that the two tests above can fail at all."""
    forge(borg.repository, "hostile", HOSTILE[name](keys))
    monkeypatch.setattr(Examination, "fault", lambda seen: None)
    monkeypatch.setattr(client, "check_way", lambda into, folders: None)
    monkeypatch.setattr(confined, "why_not", lambda: "switched off")
    into = keys.parent / "laid"
    with suppress(BorgFailed, AccessDenied):
        borg.extract("hostile", (), into)
    assert not untouched(keys, into)


def test_a_standby_never_lays_a_hostile_archive_ahead(hostile: Borg, keys: Path) -> None:
    tree = Tree(keys.parent / "ready", keys.parent / "ready.json")
    with pytest.raises(IntegrityError, match="nothing was restored"):
        tree.install_ahead(hostile, lambda archives: archives[-1])
    assert untouched(keys, tree.folder)


def test_a_tree_is_not_brought_forward_to_a_hostile_archive(hostile: Borg, source: Path, keys: Path) -> None:
    (source / "letter").write_text("of yesterday")
    hostile.create("good", ["letter"], cwd=source)
    tree = Tree(keys.parent / "ready", keys.parent / "ready.json")
    tree.install_ahead(hostile, lambda archives: next(it for it in archives if it.name == "good"))
    before = everything_in(tree.folder)
    with pytest.raises(IntegrityError, match="nothing was restored"):
        tree.install_ahead(hostile, lambda archives: next(it for it in archives if it.name == "hostile"))
    assert untouched(keys, tree.folder)
    assert everything_in(tree.folder) == before


def test_what_completes_an_archive_is_examined_too(hostile: Borg, source: Path, keys: Path) -> None:
    (source / "letter").write_text("of today")
    hostile.create("partial", ["letter"], cwd=source)
    into = keys.parent / "laid"
    hostile.extract("partial", (), into)
    for path in ("a", "x", "b", "a\nb", "a\udcff", "..", str(keys)):
        with suppress(IntegrityError, PathMissing, BorgFailed):
            install_fills(hostile, "partial", [Fill(path, "hostile")], into)
    assert untouched(keys, into)


LATER: Mapping[str, tuple[Callable[[Path], Entries], Callable[[Path], Entries]]] = {
    "the-symlink-stays-and-gets-a-file-below": (
        lambda keys: [symlink("a", keys)],
        lambda keys: [symlink("a", keys), file("a/sign")],
    ),
    "the-symlink-goes-and-a-file-comes-below": (
        lambda keys: [symlink("a", keys)],
        lambda keys: [file("a/sign")],
    ),
    "a-symlink-that-borg-diff-does-not-see": (
        lambda keys: [folder("a"), symlink("a", keys)],
        lambda keys: [folder("a"), file("a/sign")],
    ),
    "a-hard-link-of-a-symlink": (
        lambda keys: [symlink("a", keys), hardlink("b", "a")],
        lambda keys: [file("b/sign")],
    ),
    "a-hard-link-through-what-lies-there": (
        lambda keys: [folder("a"), symlink("a", keys)],
        lambda keys: [folder("a"), hardlink("b", "a/sign")],
    ),
}


@pytest.mark.parametrize("name", LATER)
def test_no_link_that_was_laid_before_leads_a_later_archive_out_of_the_tree(borg: Borg, keys: Path, name: str) -> None:
    first, second = (make(keys) for make in LATER[name])
    forge(borg.repository, "first", first)
    forge(borg.repository, "second", second)
    tree = Tree(keys.parent / "ready", keys.parent / "ready.json")
    tree.install_ahead(borg, lambda archives: archives[0])
    with suppress(IntegrityError, BorgFailed):  # or it is made again from nothing
        tree.install_ahead(borg, lambda archives: archives[1])
    assert untouched(keys, tree.folder)


def test_a_link_in_the_destination_is_no_way_into_another_folder(borg: Borg, source: Path, keys: Path) -> None:
    (source / "a").mkdir()
    (source / "a/sign").write_bytes(TAKEN)
    borg.create("good", ["a/sign"], cwd=source)
    into = keys.parent / "laid"
    into.mkdir()
    (into / "a").symlink_to(keys)
    with pytest.raises(WayBlocked, match='"a" is not a folder there'):
        borg.extract("good", ["a/sign"], into)
    with pytest.raises(WayBlocked, match='"a" is not a folder there'):
        borg.extract_only("good", ["a/sign"], into)
    assert untouched(keys, into)


def test_what_makes_way_is_removed_through_no_link(borg: Borg, source: Path, keys: Path) -> None:
    """`borg diff` names "a/sign", and an earlier archive has left a link at "a"."""
    tree = Tree(keys.parent / "ready", keys.parent / "ready.json")
    (source / "a").mkdir()
    (source / "a/sign").write_text("one")
    borg.create("one", ["a"], cwd=source)
    tree.install_ahead(borg, lambda archives: archives[0])
    (tree.folder / "a/sign").unlink()
    (tree.folder / "a").rmdir()
    (tree.folder / "a").symlink_to(keys)
    (source / "a/sign").write_text("two")
    borg.create("two", ["a"], cwd=source)
    assert not tree.install_ahead(borg, lambda archives: archives[1]), "made again from nothing"
    assert (tree.folder / "a/sign").read_text() == "two"
    assert untouched(keys, tree.folder)


def test_no_program_that_is_laid_ahead_runs_as_this_node(borg: Borg, keys: Path) -> None:
    """A setuid file would run as the account that laid it. A folder's setgid bit, which its files inherit, stays."""
    shared = folder("shared")
    shared.mode = 0o2775
    first = [shared, file("shared/a", 0o6755), hardlink("b", "shared/a"), file("c", 0o2755)]
    forge(borg.repository, "first", first)
    forge(borg.repository, "second", [*first, file("shared/d", 0o4755)])
    tree = Tree(keys.parent / "ready", keys.parent / "ready.json")
    for archive in (0, 1):
        tree.install_ahead(borg, lambda archives, number=archive: archives[number])
        modes = {path.name: path.stat().st_mode & 0o7777 for path in tree.folder.rglob("*")}
        assert modes == {"shared": 0o2775, "a": 0o755, "b": 0o755, "c": 0o755, **({"d": 0o755} if archive else {})}
    into = keys.parent / "restored"
    borg.extract("second", (), into)
    assert (into / "shared/d").stat().st_mode & 0o7777 == 0o4755, "a person's restore brings back what was saved"


def test_no_program_whose_name_is_not_utf_8_runs_as_this_node(borg: Borg, keys: Path) -> None:
    """A listing says "?" for such a byte, and a file of that name is not there."""
    forge(borg.repository, "first", [file("program-\udcff", 0o4755)])
    borg.extract("first", (), keys.parent / "laid", privileges=False)
    assert [it.stat().st_mode & 0o7777 for it in (keys.parent / "laid").iterdir()] == [0o755]


def test_a_link_in_the_destination_whose_name_is_not_utf_8_is_no_way(borg: Borg, keys: Path) -> None:
    forge(borg.repository, "first", [symlink("a\udcff", keys)])
    forge(borg.repository, "second", [folder("a\udcff"), file("a\udcff/sign")])
    borg.extract("first", (), keys.parent / "laid")
    for paths in ((), ("a\udcff/sign",)):
        with pytest.raises(WayBlocked):
            borg.extract("second", paths, keys.parent / "laid")
    assert (keys / "sign").read_text() == "the node's own key"


def test_borg_runs_no_code_from_the_home_of_its_account(
    borg: Borg, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python runs `usercustomize` of the account's own packages at each start, even one that an attacker wrote."""
    home, ran = tmp_path / "home", tmp_path / "ran"
    for version in ("python3.11", "python3.12", "python3.13", "python3.14"):
        site = home / ".local/lib" / version / "site-packages"
        site.mkdir(parents=True)
        (site / "usercustomize.py").write_text(f"open({str(ran)!r}, 'w').close()\n")
    monkeypatch.setenv("HOME", str(home))
    (source / "letter").write_text("x")
    borg.create("one", ["letter"], cwd=source)
    borg.extract("one", (), tmp_path / "out")
    assert (tmp_path / "out/letter").read_text() == "x"
    assert not ran.exists()


COMPANION = archive_name("docs-a", "2.7", "2026-11-30T08:00:00Z", 1)
SAYS = Manifest((PathManifest("/letter", "read", 1, 8),), (LeftOut("/lost", "EIO"),), 1)


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([symlink("manifest.json", "/etc/passwd")], "is a symlink, not a file"),
        ([folder("manifest.json")], "is a folder, not a file"),
        ([file("other.json")], '"manifest.json" is not in the archive'),
        ([file("manifest.json")], "cut short"),
        ([file("manifest.json"), file("manifest.json")], "cut short"),
        ([folder("x"), hardlink("manifest.json", "x/../../keys/sign")], "cannot be read"),
    ],
    ids=["symlink", "folder", "none", "no manifest", "twice", "hard link"],
)
def test_a_hostile_companion_is_one_sentence_and_its_archive_is_restored(
    borg: Borg, source: Path, tmp_path: Path, entries: Entries, told: str
) -> None:
    (source / "letter").write_text("of today")
    borg.create(COMPANION, ["letter"], cwd=source, comment=encode(SAYS))
    forge(borg.repository, companion_name(COMPANION), entries)
    found = filling_of(borg, "docs-a", COMPANION)
    assert found.fills == ()
    assert len(found.nowhere) == 1
    assert told in found.nowhere[0]
    borg.extract(COMPANION, (), tmp_path / "back")
    assert (tmp_path / "back/letter").read_text() == "of today"


def test_a_companion_of_endless_zeros_is_cut_off(borg: Borg, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MANIFEST_BYTES_MAX", 1000)
    with open(source / "manifest.json", "wb") as zeros:
        zeros.truncate(256 * MIB)
    borg.create(COMPANION, ["manifest.json"], cwd=source, comment=encode(SAYS))
    borg.create(companion_name(COMPANION), ["manifest.json"], cwd=source, comment=encode(SAYS))
    assert "more than the 1000 bytes allowed" in filling_of(borg, "docs-a", COMPANION).nowhere[0]


def test_what_a_companion_names_leads_nowhere(borg: Borg, source: Path, keys: Path) -> None:
    """The names are looked for in older archives, of which one has what they mean."""
    forge(borg.repository, "docs-a-older", HOSTILE["up"](keys))
    (source / "letter").write_text("of today")
    borg.create(COMPANION, ["letter"], cwd=source, comment=encode(SAYS))
    names = ["../keys/sign", "/../keys/sign", str(keys / "sign"), "a\0b", "\x1b[2J", "x" * 200_000, "\ud800"]
    lies = json.loads(encode(SAYS)) | {"left_out": [[it, "EIO"] for it in names], "left_out_count": 10**9}
    (source / "manifest.json").write_text(json.dumps(lies))
    borg.create(companion_name(COMPANION), ["manifest.json"], cwd=source, comment=encode(SAYS))
    found = filling_of(borg, "docs-a", COMPANION)
    assert found.fills == ()
    assert all(len(it) < 300 for it in found.nowhere)
    assert not lacking_of(borg, "docs-a", COMPANION).fills
