"""Saved files come back as they were, whatever their names and kinds; a file that cannot be read is named."""

from __future__ import annotations

import io
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from appliance.borg import errors
from appliance.borg.client import Borg
from appliance.borg.folder import keyfile, repository_id
from appliance.borg.model import Item, Progress, Repository
from appliance.errors import Refused, UsageError
from tests.integration.borg.trees import everything_in

NAMES = [
    "plain.txt",
    "with\nnewline",
    "bad\udcff\udcfe",
    "question?",
    "tab\tand space ",
    "é" * 127 + "a",
    "-rf",
    "sh:*",
    "{now}",
    "\x7fdel",
]


def fill(source: Path) -> None:
    """Every name and every kind of entry that a share may hold."""
    for number, name in enumerate(NAMES):
        (source / name).write_bytes(f"content {number}".encode())
    os.link(source / "plain.txt", source / "second name")
    os.symlink("bad\udcff\udcfe", source / "link")
    os.mkfifo(source / "fifo")
    with open(source / "sparse", "wb") as file:
        file.truncate(200_000_000)
        file.seek(100_000_000)
        file.write(b"island")
    (source / "empty").touch()
    (source / "folder").mkdir(mode=0o2750)
    (source / "folder/deep").write_text("deep")
    os.chmod(source / "folder/deep", 0o4640)
    os.setxattr(source / "folder/deep", "user.note", b"kept\xff")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(source / "folder/s"))
    os.utime(source / "plain.txt", ns=(1_000_000_000_123_456_789, 1_000_000_000_123_456_789))


def test_everything_comes_back_as_it_was(borg: Borg, source: Path, tmp_path: Path) -> None:
    fill(source)
    made = borg.create("first", ["."], cwd=source)
    assert made.warnings == ()
    assert made.deduplicated_bytes < 1_000_000
    assert borg.extract("first", [], tmp_path / "out") == ()
    assert everything_in(tmp_path / "out") == everything_in(source)
    assert (tmp_path / "out/sparse").stat().st_blocks * 512 < 20_000_000


def test_every_name_is_listed_exactly_and_each_kind_is_told(borg: Borg, source: Path) -> None:
    fill(source)
    borg.create("first", ["."], cwd=source)
    items = {item.path: item for item in borg.items("first")}
    assert set(items) == {".", *everything_in(source)}
    kinds = {name: items[name].kind for name in ("folder", "link", "fifo", "sparse")}
    assert kinds == {"folder": "folder", "link": "symlink", "fifo": "fifo", "sparse": "file"}
    assert items["link"].link_target == "bad\udcff\udcfe"
    assert items["sparse"].size == 200_000_000
    assert items["folder/deep"].mode == 0o4640
    assert items["plain.txt"].mtime_seconds == pytest.approx(1_000_000_000.123456, abs=1e-6)
    (later,) = (item for item in items.values() if item.kind == "hardlink")
    assert {later.path, later.link_target} == {"plain.txt", "second name"}


def test_a_folder_is_listed_alone_with_exact_names(borg: Borg, source: Path) -> None:
    (source / "a").mkdir()
    for name in ("x?", "y\udcff"):
        (source / "a" / name).touch()
        (source / name).touch()
    borg.create("first", ["."], cwd=source)
    assert {item.path for item in borg.items("first", under="a")} == {"a", "a/x?", "a/y\udcff"}


def test_one_file_of_any_name_comes_out(borg: Borg, source: Path, tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        (source / name).write_bytes(f"content {number}".encode())
    borg.create("first", ["."], cwd=source)
    for number, name in enumerate(NAMES):
        sink = io.BytesIO()
        borg.extract_to("first", name, sink)
        assert sink.getvalue() == f"content {number}".encode()
    borg.extract("first", NAMES[1:], tmp_path / "out")
    assert set(os.listdir(tmp_path / "out")) == set(NAMES[1:])


def test_a_deep_file_comes_out_with_the_attributes_of_its_folders(borg: Borg, source: Path, tmp_path: Path) -> None:
    (source / "a/b").mkdir(parents=True)
    (source / "a/b/file").write_text("x")
    (source / "a/other").write_text("x")
    os.chmod(source / "a/b", 0o2751)
    os.utime(source / "a", ns=(1, 1_000_000_000_000_000_001))
    borg.create("first", ["."], cwd=source)
    borg.extract("first", ["a/b/file"], tmp_path / "out")
    assert os.listdir(tmp_path / "out/a") == ["b"]
    assert stat.S_IMODE((tmp_path / "out/a/b").stat().st_mode) == 0o2751
    assert (tmp_path / "out/a").stat().st_mtime_ns == 1_000_000_000_000_000_001


def test_every_name_of_a_hard_link_gives_the_content(borg: Borg, source: Path) -> None:
    (source / "a").write_bytes(b"content")
    os.link(source / "a", source / "b")
    borg.create("first", ["."], cwd=source)
    for name in ("a", "b"):
        sink = io.BytesIO()
        assert borg.extract_to("first", name, sink) == 7


def test_what_is_no_file_is_not_taken_for_an_empty_one(borg: Borg, source: Path, tmp_path: Path) -> None:
    (source / "empty").touch()
    (source / "folder").mkdir()
    borg.create("first", ["."], cwd=source)
    sink = io.BytesIO()
    assert borg.extract_to("first", "empty", sink) == 0
    with pytest.raises(UsageError, match="is a folder"):
        borg.extract_to("first", "folder", sink)
    with pytest.raises(errors.PathMissing):
        borg.extract_to("first", "absent", sink)
    with pytest.raises(errors.PathMissing, match="absent"):
        borg.extract("first", ["empty", "absent"], tmp_path / "out")


def test_a_second_archive_stores_only_what_is_new(borg: Borg, source: Path) -> None:
    (source / "big").write_bytes(os.urandom(3_000_000))
    first = borg.create("first", ["."], cwd=source, timestamp="2026-11-24T08:00:00Z")
    (source / "small").write_bytes(os.urandom(1000))
    second = borg.create("second", ["."], cwd=source, timestamp="2026-11-25T08:00:00Z")
    assert first.deduplicated_bytes > 3_000_000
    assert second.deduplicated_bytes < 10_000
    assert (first.files, second.files) == (1, 2)
    found = borg.archives()
    assert [archive.name for archive in found] == ["first", "second"]
    assert found[0].start_utc_seconds == 1795507200.0
    assert found[0].id == first.id


def test_deleting_forgets_the_named_archives_and_no_other(borg: Borg, source: Path) -> None:
    for name in ("files-1", "files-2", "dump-1"):
        borg.create(name, ["."], cwd=source)
    borg.delete(["files-1"])
    assert [archive.name for archive in borg.archives()] == ["files-2", "dump-1"]


def test_a_second_extraction_leaves_complete_files_and_finishes_the_others(
    borg: Borg, source: Path, tmp_path: Path
) -> None:
    fill(source)
    borg.create("first", ["."], cwd=source)
    out = tmp_path / "out"
    borg.extract("first", [], out)
    (out / "empty").unlink()
    (out / "folder/deep").write_bytes(b"de")  # as a cut leaves it: the time is not the file's
    untouched = (out / "sparse").stat().st_ino
    borg.extract("first", [], out)
    assert everything_in(out) == everything_in(source)
    assert (out / "sparse").stat().st_ino == untouched
    borg.extract("first", ["sparse"], out)
    assert (out / "sparse").stat().st_ino == untouched


def unprivileged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root, borg must lose the power to read everything: that is what bounding the capabilities does."""
    if os.geteuid() != 0:
        return
    wrapper = tmp_path / "bin/borg"
    wrapper.parent.mkdir()
    wrapper.write_text('#!/bin/sh\nexec setpriv --bounding-set=-dac_override,-dac_read_search /usr/bin/borg "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")


def test_unreadable_files_are_named_and_the_rest_is_saved(
    borg: Borg, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("good", "secret: file\nbad\udcff", "last"):
        (source / name).write_text("x")
    (source / "closed").mkdir(mode=0o000)
    os.chmod(source / "secret: file\nbad\udcff", 0)
    unprivileged(tmp_path, monkeypatch)
    made = borg.create("first", ["."], cwd=source)
    assert {warning.path for warning in made.warnings} == {"closed", "secret: file\nbad\udcff"}
    assert all("Permission denied" in warning.reason for warning in made.warnings)
    assert {item.path for item in borg.items("first")} >= {"good", "last"}
    os.chmod(source / "closed", 0o700)


def test_files_that_change_or_vanish_while_they_are_read_are_named(
    repository: Repository, borg: Borg, source: Path
) -> None:
    big, victim = source / "a big one", source / "z victim"
    big.touch()
    victim.touch()
    if victim.stat().st_ino < big.stat().st_ino:  # a number that became free is given again
        big, victim = victim.rename(source / "once"), big
        victim, big = victim.rename(source / "z victim"), big.rename(source / "a big one")
    big.write_bytes(os.urandom(40_000_000))
    victim.write_text("read last: its number is the higher")
    done = threading.Event()

    def meddle() -> None:
        for _ in range(2000):
            if _is_open_somewhere(big):
                victim.unlink()
                with open(big, "ab") as file:
                    file.write(b"more")
                return
            if done.wait(0.005):
                return

    thread = threading.Thread(target=meddle)
    thread.start()
    made = borg.create("first", ["."], cwd=source)
    done.set()
    thread.join()
    reasons = {warning.path: warning.reason for warning in made.warnings}
    assert set(reasons) == {"a big one", "z victim"}
    assert "changed" in reasons["a big one"]
    assert "No such file" in reasons["z victim"]


def _is_open_somewhere(file: Path) -> bool:
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == str(file):
                return True
        except OSError:
            continue
    return False


def test_a_named_path_that_is_gone_is_a_warning(borg: Borg, source: Path) -> None:
    (source / "here").write_text("x")
    made = borg.create("first", ["here", "gone"], cwd=source)
    assert [warning.path for warning in made.warnings] == ["gone"]


def test_exclusions_leave_files_out(borg: Borg, source: Path) -> None:
    for name in ("keep", "drop.tmp"):
        (source / name).touch()
    borg.create("first", ["."], cwd=source, exclude=["sh:*.tmp"])
    assert {item.path for item in borg.items("first")} == {".", "keep"}


def test_progress_is_told_while_borg_runs(repository: Repository, borg: Borg, source: Path, tmp_path: Path) -> None:
    (source / "big").write_bytes(os.urandom(5_000_000))
    seen: list[Progress] = []
    told = Borg(repository, seen.append)
    told.create("first", ["."], cwd=source)
    assert seen
    told.extract("first", [], tmp_path / "out")
    assert seen[-1].done_bytes == seen[-1].total_bytes == 5_000_000


def test_listing_can_stop_early(repository: Repository, borg: Borg, source: Path) -> None:
    for number in range(300):
        (source / f"{number}?").touch()
    borg.create("first", ["."], cwd=source)
    items = borg.items("first")
    assert isinstance(next(items), Item)
    items.close()  # type: ignore[attr-defined]
    assert not list(repository.path.glob("lock.*")), "a borg that is stopped gives its lock back"
    assert borg.create("second", ["."], cwd=source).files == 300


def test_a_read_only_copy_writes_nothing(repository: Repository, borg: Borg, source: Path) -> None:
    (source / "odd?\udcff").touch()
    borg.create("first", ["."], cwd=source)
    reader = Borg(Repository(repository.path, repository.base, repository.passphrase, bypass_lock=True))
    assert [archive.name for archive in reader.archives()] == ["first"]
    assert "odd?\udcff" in [item.path for item in reader.items("first")], "needs a verb that borg always locks for"
    with pytest.raises(Refused, match="reading only"):
        reader.create("second", ["."], cwd=source)


def test_the_key_is_found_by_the_repositorys_id(repository: Repository, borg: Borg) -> None:
    assert repository_id(repository.path) in keyfile(repository).read_text()
    assert "max_segment_size = 67108864" in (repository.path / "config").read_text()


def test_a_repository_is_never_made_over_something(repository: Repository, borg: Borg) -> None:
    with pytest.raises(errors.RepositoryExists):
        borg.init()
