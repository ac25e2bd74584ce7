"""Prepared sources are stored by borg under the right names; a btrfs snapshot is of one moment and lacks nothing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from appliance.backup.sources import Prepared, ReadFrom, SourceSpec, prepare
from appliance.borg.client import Borg
from appliance.borg.model import Repository
from appliance.host.command import run
from appliance.secret import Secret

NAMES = (
    "a.tmp", "a.tmp2", "deep/a.tmp", "deep/er/Cache/x", "Cache/x", "Cachet/x", "~$lettre.odt", "lettre.odt", "b[1].txt",
    "b1.txt", "line\nend.tmp", "end.tmp\n", "été/brouillon.bak", "été/sub/brouillon.bak", ".hidden/a.tmp", "(x)+.y",
    os.fsdecode(b"latin-\xe9.tmp"), "Logiciels/setup.exe", "deep/Logiciels/setup.exe",
)  # fmt: skip
PATTERNS = (
    ("*.tmp",), ("Cache",), ("Cache/",), ("Cache/*",), ("/Logiciels",), ("~$*",), ("b[1].txt",), ("**/*.bak",),
    ("été/*.bak",), ("(x)+.y",), (".*",), ("*",), ("deep/**",), ("?.tmp", "Cachet"), ("partage14",), (),
)  # fmt: skip


@pytest.fixture
def borg(tmp_path: Path) -> Borg:
    borg = Borg(Repository(tmp_path / "repository", tmp_path / "base", Secret(b"phrase")))
    borg.init()
    return borg


def stored(borg: Borg, answer: Prepared, archive: str = "a") -> set[str]:
    """The paths of an archive of `answer`."""
    borg.create(archive, answer.paths, cwd=answer.cwd, exclude=answer.exclude)
    return {item.path for item in borg.items(archive)}


def make_share(root: Path) -> None:
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name, errors="surrogateescape")


def test_borg_leaves_out_exactly_what_the_walk_leaves_out(tmp_path: Path, borg: Borg) -> None:
    shares = {tmp_path / f"partage{number}": patterns for number, patterns in enumerate(PATTERNS)}
    with ExitStack() as stack:
        answers = {}
        for share, patterns in shares.items():
            make_share(share)
            spec = SourceSpec("docs", "files", (str(share),), patterns)
            answers[share] = stack.enter_context(prepare(spec, tmp_path / "work" / share.name))
        # One archive of all spares starting borg once per pattern: patterns hold below their own path only.
        found = stored(borg, sum(answers.values(), Prepared()))
    for share, patterns in shares.items():
        prefix = str(share).lstrip("/")
        assert prefix in found, patterns
        inside = {path for path in found if path.startswith(f"{prefix}/")}
        assert 1 + len(inside) == answers[share].counts.files + answers[share].counts.folders, patterns


def test_without_patterns_everything_is_in(tmp_path: Path, borg: Borg) -> None:
    share = tmp_path / "partage"
    make_share(share)
    with prepare(SourceSpec("docs", "files", (str(share),)), tmp_path / "work") as answer:
        assert {str(share / name).lstrip("/") for name in NAMES} <= stored(borg, answer)


def test_a_dumped_database_is_stored_under_its_own_name(tmp_path: Path, borg: Borg) -> None:
    base = tmp_path / "app" / "registre.sqlite"
    base.parent.mkdir()
    with closing(sqlite3.connect(base)) as connection:
        connection.execute("CREATE TABLE acte (nom TEXT)")
    with prepare(SourceSpec("registre", "sqlite", (str(base),)), tmp_path / "work") as answer:
        assert stored(borg, answer) == {str(base).lstrip("/")}


@pytest.fixture
def btrfs(tmp_path: Path) -> Iterator[Path]:
    """A small btrfs file system, or a skip where this machine has none."""
    image, mount = tmp_path / "image", tmp_path / "btrfs"
    mount.mkdir()
    with open(image, "wb") as file:
        file.truncate(256 << 20)
    try:
        run(("mkfs.btrfs", "--quiet", str(image)), timeout_seconds=60, check=True)
        run(("mount", "-o", "loop", str(image), str(mount)), timeout_seconds=60, check=True)
    except Exception as error:
        pytest.skip(f"no btrfs here: {error}")
    yield mount
    run(("umount", "--recursive", str(mount)), timeout_seconds=60, check=True)


@pytest.fixture
def share(btrfs: Path) -> Path:
    run(("btrfs", "subvolume", "create", str(btrfs / "partage")), timeout_seconds=60, check=True)
    (btrfs / "partage" / "Mairie").mkdir()
    (btrfs / "partage" / "Mairie" / "lettre.txt").write_text("avant")
    return btrfs / "partage"


def snapshots(btrfs: Path) -> list[str]:
    said = run(("btrfs", "subvolume", "list", "-s", str(btrfs)), timeout_seconds=60, check=True).stdout
    return said.decode().splitlines()


@pytest.mark.root
def test_a_subvolume_is_read_from_a_snapshot_of_one_moment(
    btrfs: Path, share: Path, borg: Borg, tmp_path: Path
) -> None:
    spec = SourceSpec("docs", "files", (str(share),), ("*.tmp",))
    (share / "brouillon.tmp").touch()
    with prepare(spec, btrfs / "work") as answer:
        assert answer.read_from == (ReadFrom(str(share), "snapshot"),)
        (share / "Mairie" / "lettre.txt").write_text("après, et plus long")
        (share / "Mairie" / "nouveau.txt").touch()
        found = stored(borg, answer)
    prefix = str(share).lstrip("/")
    assert found == {prefix, f"{prefix}/Mairie", f"{prefix}/Mairie/lettre.txt"}
    with open(tmp_path / "out", "wb") as sink:
        borg.extract_to("a", f"{prefix}/Mairie/lettre.txt", sink)
    assert (tmp_path / "out").read_text() == "avant"
    assert snapshots(btrfs) == []
    assert not (btrfs / "work" / "snapshots").exists()


@pytest.mark.root
def test_a_subvolume_nested_in_the_share_is_not_lost_by_a_snapshot(btrfs: Path, share: Path, borg: Borg) -> None:
    run(("btrfs", "subvolume", "create", str(share / "Photos")), timeout_seconds=60, check=True)
    (share / "Photos" / "mariage.jpg").touch()
    with prepare(SourceSpec("docs", "files", (str(share),)), btrfs / "work") as answer:
        (read_from,) = answer.read_from
        assert (read_from.how, read_from.reason) == ("live", f"a subvolume is nested at {share}/Photos")
        assert f"{share}/Photos/mariage.jpg".lstrip("/") in stored(borg, answer)
        assert snapshots(btrfs) == []


@pytest.mark.root
def test_a_disk_mounted_in_the_share_is_not_lost_by_a_snapshot(btrfs: Path, share: Path, borg: Borg) -> None:
    (share / "Photos d'été").mkdir()
    run(("mount", "-t", "tmpfs", "none", str(share / "Photos d'été")), timeout_seconds=60, check=True)
    (share / "Photos d'été" / "mariage.jpg").touch()
    with prepare(SourceSpec("docs", "files", (str(share),)), btrfs / "work") as answer:
        assert answer.read_from[0].how == "live"
        assert "mounted at" in answer.read_from[0].reason
        assert f"{share}/Photos d'été/mariage.jpg".lstrip("/") in stored(borg, answer)


@pytest.mark.root
def test_a_folder_of_another_file_system_is_read_live(btrfs: Path, share: Path, tmp_path: Path) -> None:
    with prepare(SourceSpec("docs", "files", (str(share),)), tmp_path / "elsewhere") as answer:
        assert answer.read_from[0].how == "live"
        assert "no snapshot could be taken" in answer.read_from[0].reason
        assert answer.failures == ()


@pytest.mark.root
def test_the_snapshot_of_a_killed_run_is_removed_by_the_next(btrfs: Path, share: Path) -> None:
    spec = SourceSpec("docs", "files", (str(share),))
    stale = btrfs / "work" / "snapshots" / "0" / str(share).lstrip("/")
    stale.parent.mkdir(parents=True)
    run(("btrfs", "subvolume", "snapshot", "-r", str(share), str(stale)), timeout_seconds=60, check=True)
    assert len(snapshots(btrfs)) == 1
    with prepare(spec, btrfs / "work") as answer:
        assert answer.read_from[0].how == "snapshot"
        assert len(snapshots(btrfs)) == 1
    assert snapshots(btrfs) == []
