"""A restore of somebody's own documents is compared in all but what borg cannot keep, and what changed meanwhile."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from appliance_lab.checkers.tree_record import Record, take
from appliance_lab.demo.comparable import (
    CLOCK_STEP_NS,
    NANOSECONDS,
    TIME_NS_MAX,
    changed_since,
    differences,
    times_not_kept,
    without_changed,
)
from tests.waiting import wait_until

KEPT = 1_700_000_000 * NANOSECONDS
TIMES = [
    pytest.param(-NANOSECONDS, 0, id="before_1970"),
    pytest.param(-1, 0, id="a_nanosecond_before_1970"),
    pytest.param(TIME_NS_MAX + 1, TIME_NS_MAX, id="after_2038"),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("old", "new"):
        (folder / name).write_text(f"{name}\n")
    return folder


def set_time(path: Path, mtime_ns: int) -> None:
    os.utime(path, ns=(KEPT, mtime_ns))


def record(folder: Path) -> Record:
    return take(folder, as_root=False)


def copied(data: Path) -> Path:
    return Path(shutil.copytree(data, data.with_name("back")))


@pytest.mark.parametrize(("mtime_ns", "nearest"), TIMES)
def test_a_time_that_borg_cannot_keep_is_named_and_the_nearest_one_is_no_difference(
    mtime_ns: int, nearest: int, data: Path
) -> None:
    set_time(data / "old", mtime_ns)
    before, back = record(data), copied(data)
    set_time(back / "old", nearest)
    assert times_not_kept(before) == ("old",)
    assert differences(before, record(back)) == ()
    set_time(back / "old", nearest + 5 * NANOSECONDS if nearest == 0 else nearest - 5 * NANOSECONDS)
    assert [it.path for it in differences(before, record(back))] == ["old"]


@pytest.mark.parametrize("mtime_ns", [0, KEPT, TIME_NS_MAX])
def test_a_time_that_borg_keeps_must_come_back(mtime_ns: int, data: Path) -> None:
    set_time(data / "old", mtime_ns)
    before, back = record(data), copied(data)
    assert times_not_kept(before) == ()
    assert differences(before, record(back)) == ()
    set_time(back / "old", mtime_ns + 1)
    assert [it.what for it in differences(before, record(back))] == ["mtime_ns"]


def test_a_file_with_such_a_time_and_other_bytes_is_a_difference(data: Path) -> None:
    set_time(data / "old", -NANOSECONDS)
    before, back = record(data), copied(data)
    (back / "old").write_text("bad\n")
    set_time(back / "old", 0)
    assert [it.what for it in differences(before, record(back))] == ["sha256"]


def settle(data: Path) -> int:
    """A moment that has come by the clock of the file system, and before which all of `data` was changed last."""
    moment = max(os.lstat(it).st_ctime_ns for it in (data, *data.rglob("*"))) + CLOCK_STEP_NS + 1
    probe = data.with_name("probe")

    def has_come() -> bool:
        probe.touch()
        return probe.stat().st_ctime_ns >= moment

    wait_until(has_come, "a later tick of the clock")
    return moment


def test_what_was_changed_while_it_was_saved_is_named_and_not_compared(data: Path) -> None:
    (data / "still").mkdir()
    (data / "still/a").write_text("a\n")
    moment = settle(data)
    taken, back = record(data), copied(data)
    (data / "old").write_text("later\n")
    (data / "came").write_text("came\n")
    (data / "new").unlink()
    changed = changed_since(data, moment, taken)
    assert changed == {".", "old", "came", "new"}
    before = without_changed(taken, changed)
    (back / "old").write_text("at another moment\n")
    (back / "new").unlink()
    (back / "saved and gone").touch()
    assert differences(before, record(back), changed) == ()
    (back / "still/a").write_text("b\n")
    (back / "still/b").touch()
    assert {it.path for it in differences(before, record(back), changed)} == {"still", "still/a", "still/b"}


def test_what_nobody_changes_is_compared_whole(data: Path) -> None:
    assert changed_since(data, settle(data)) == frozenset()
