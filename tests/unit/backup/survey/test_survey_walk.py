"""One look at real folders: what counts, what counts once, and what is refused."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.backup.sources.excludes import expressions, matcher
from appliance.backup.sources.files import walk
from appliance.backup.survey.walk import Scope, Seen, look, open_folders
from appliance.clock import SimulatedClock
from appliance.errors import Forbidden, NotFound, UsageError
from appliance.units import DAY, GIB, HOUR, MIB

NOBODY = 65534


def looked(*folders: Path, now: float | None = None, since: float | None = None) -> Seen:
    """A look a minute from now: no file of a test is then of the future."""
    return look(Scope(open_folders(folders)), SimulatedClock(now=now or time.time() + 60), since=since)


def write(file: Path, size: int, *, age: float = 0.0) -> Path:
    file.write_bytes(os.urandom(size))
    os.utime(file, (time.time() - age,) * 2)
    return file


@contextmanager
def an_ordinary_account() -> Iterator[None]:
    """Root reads every folder: the tests of it work as nobody for a while."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(was)


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that an ordinary account reaches; pytest's own are root's alone."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    (folder / "closed").chmod(0o755)
    shutil.rmtree(folder)


def test_the_bytes_of_all_files_count_on_the_day_of_their_last_change(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    write(tmp_path / "today", 1000)
    write(tmp_path / "below/three days ago", 300, age=3 * DAY)
    write(tmp_path / "below/last year", 50, age=400 * DAY)
    seen = looked(tmp_path)
    assert (seen.files, seen.bytes) == (3, 1350)
    assert seen.changed_by_day == (1000, 0, 0, 300, 0, 0, 0)


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ((), 111_111),
        (("*.tmp",), 111_001),
        (("cache/*",), 101_111),
        (("/old",), 110_111),
        (("cache", "**/new/a.doc"), 1_110),
    ],
)
def test_what_a_service_excludes_counts_neither_here_nor_in_its_backup(
    tmp_path: Path, patterns: tuple[str, ...], left: int
) -> None:
    for size, name in enumerate(("new/a.doc", "new/b.tmp", "c.tmp", "old/d.doc", "cache/e.doc", "new/cache/f.doc")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, 10**size)
    seen = look(Scope(open_folders([tmp_path]), patterns), SimulatedClock(now=time.time() + 60))
    backed_up = walk(str(tmp_path), matcher(expressions(patterns, str(tmp_path)))).counts
    assert (seen.bytes, seen.files) == (backed_up.bytes, backed_up.files)
    assert seen.bytes == left


def test_holes_of_a_sparse_file_do_not_count(tmp_path: Path) -> None:
    with open(tmp_path / "disk.img", "wb") as file:
        file.write(os.urandom(MIB))
        file.seek(2 * GIB)
        file.write(os.urandom(MIB))
        file.truncate(4 * GIB)
    assert looked(tmp_path).bytes == 2 * MIB


def test_a_file_that_is_one_hole_counts_as_a_file_without_bytes(tmp_path: Path) -> None:
    with open(tmp_path / "empty.img", "wb") as file:
        file.truncate(GIB)
    seen = looked(tmp_path)
    assert (seen.files, seen.bytes) == (1, 0)


def test_a_file_with_several_names_counts_once_in_all_folders_together(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    os.link(write(tmp_path / "a/one", 1000), tmp_path / "a/two")
    os.link(tmp_path / "a/one", tmp_path / "b/three")
    seen = looked(tmp_path / "a", tmp_path / "b")
    assert (seen.files, seen.bytes) == (1, 1000)


def test_a_folder_within_another_and_a_link_to_one_count_once(tmp_path: Path) -> None:
    (tmp_path / "share/below").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "share/below")
    write(tmp_path / "share/below/file", 1000)
    assert open_folders([tmp_path / "link", tmp_path / "share"]) == (str(tmp_path / "share"),)
    assert looked(tmp_path / "link", tmp_path / "share").bytes == 1000


def test_links_pipes_and_devices_have_no_bytes(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    seen = looked(tmp_path)
    assert (seen.files, seen.bytes, seen.unreadable_count) == (0, 0, 0)


def test_a_name_that_is_not_utf_8_counts_as_any_other(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    write(Path(os.fsdecode(folder)) / "file", 1000)
    assert looked(Path(os.fsdecode(folder))).bytes == looked(tmp_path).bytes == 1000


def test_a_time_in_the_future_gives_way_to_the_one_of_the_file_system(tmp_path: Path) -> None:
    write(tmp_path / "photo", 1000, age=-400 * DAY)
    seen = looked(tmp_path)
    assert (seen.changed_by_day[0], seen.undated) == (1000, 0)


def test_a_file_with_only_times_in_the_future_counts_in_the_size_alone(tmp_path: Path) -> None:
    write(tmp_path / "photo", 1000)
    seen = looked(tmp_path, now=time.time() - DAY, since=time.time() - 2 * DAY)
    assert (seen.bytes, sum(seen.changed_by_day), seen.changed, seen.undated) == (1000, 0, 0, 1)


def test_a_later_look_tells_changed_files_from_those_that_arrived_with_an_old_time(tmp_path: Path) -> None:
    write(tmp_path / "changed", 1000)
    write(tmp_path / "copied from an old disk", 300, age=400 * DAY)
    seen = looked(tmp_path, since=time.time() - HOUR)
    assert (seen.changed, seen.arrived) == (1000, 300)
    later = looked(tmp_path, now=time.time() + DAY, since=time.time() + HOUR)
    assert (later.changed, later.arrived) == (0, 0)


def test_a_folder_that_may_not_be_read_is_named_and_the_rest_counts(open_to_all: Path) -> None:
    write(open_to_all / "file", 1000)
    (open_to_all / "closed").mkdir(mode=0o700)
    write(open_to_all / "closed/secret", 300)
    (open_to_all / "closed").chmod(0)
    with an_ordinary_account():
        seen = looked(open_to_all)
    assert (seen.bytes, seen.unreadable, seen.unreadable_count) == (1000, (str(open_to_all / "closed"),), 1)


def test_a_folder_that_may_be_listed_but_not_entered_is_named(open_to_all: Path) -> None:
    (open_to_all / "closed").mkdir()
    write(open_to_all / "closed/file", 300)
    (open_to_all / "closed").chmod(0o444)
    with an_ordinary_account():
        seen = looked(open_to_all)
    assert (seen.files, seen.unreadable_count) == (0, 1)


def test_a_named_folder_that_may_not_be_read_is_refused(open_to_all: Path) -> None:
    (open_to_all / "closed").mkdir()
    (open_to_all / "closed").chmod(0)
    with an_ordinary_account(), pytest.raises(Forbidden, match="may not read this folder"):
        open_folders([open_to_all / "closed"])


@pytest.mark.parametrize("place", ["/proc", "/proc/self", "/sys"])
def test_what_the_kernel_makes_up_is_refused(place: str) -> None:
    with pytest.raises(UsageError, match="name a folder on a disk"):
        open_folders([Path(place)])


def test_a_file_a_missing_folder_and_a_loop_of_links_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "file", 1)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UsageError, match="not a folder"):
        open_folders([tmp_path, tmp_path / "file"])
    with pytest.raises(NotFound, match="Is its disk mounted"):
        open_folders([tmp_path, tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="cannot be read"):
        open_folders([tmp_path / "loop"])
