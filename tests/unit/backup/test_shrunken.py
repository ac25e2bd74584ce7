"""When most of a service is gone at its source, what ends that, and what a wrong clock changes: nothing."""

from __future__ import annotations

import pytest

from appliance.backup.writer.manifest import Manifest, PathManifest
from appliance.backup.writer.shrunken import Read, Sizes, has_shrunk
from appliance.backup.writer.source_sizes import from_archives
from appliance.units import DAY, HOUR, MIB


def read(files: int, size: int = 0, *, day: float = 0, whole: bool = True, path: str = "/srv/a") -> Read:
    return Read(f"docs-a-{day}", int(day * DAY), whole, {path: (files, size or files * MIB)})


def after(*runs: Read) -> Sizes:
    sizes = Sizes()
    for run in runs:
        sizes = sizes.with_run(run)
    return sizes


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (read(50), read(100), False),
        (read(49), read(100), True),
        (read(100, 49 * MIB), read(100, 100 * MIB), True),
        (read(0), read(0), False),
        (read(0), read(1, whole=False), True),
        (read(3, path="/srv/b"), read(100, path="/srv/a"), False),
    ],
    ids=["half is kept", "files", "bytes", "empty before", "a partial one before that read this path", "another path"],
)
def test_fewer_than_half_the_files_or_bytes_of_the_same_paths_has_shrunk(
    now: Read, before: Read, expected: bool
) -> None:
    assert has_shrunk(now, before) is expected


def test_one_path_of_two_that_became_empty_has_shrunk_however_small_it_was() -> None:
    before = Read("a", 0, True, {"/srv/a": (100, 100), "/srv/b": (1, 1)})
    assert has_shrunk(Read("b", 0, True, {"/srv/a": (100, 100), "/srv/b": (0, 0)}), before)


def test_a_path_that_failed_is_not_compared_and_the_others_are() -> None:
    before = Read("a", 0, True, {"/srv/a": (100, 100), "/srv/b": (100, 100)})
    assert not has_shrunk(Read("b", 0, False, {"/srv/a": (100, 100)}), before)
    assert has_shrunk(Read("b", 0, False, {"/srv/a": (10, 100)}), before)


def test_an_emptied_service_stays_shrunken_for_a_year_and_ends_when_the_files_are_back() -> None:
    sizes = after(read(100), *(read(0, day=day) for day in range(1, 366)))
    assert sizes.shrunken is not None
    assert sizes.shrunken.before.files == 100
    assert sizes.with_run(read(90, day=366)).shrunken is None


def test_a_run_that_could_not_read_the_emptied_path_settles_nothing() -> None:
    full, half = {"/srv/a": (100, 100), "/srv/b": (100, 100)}, {"/srv/a": (100, 100)}
    sizes = after(Read("a", 0, True, full), Read("b", int(DAY), True, full | {"/srv/b": (0, 0)}))
    failed = sizes.with_run(Read("c", int(2 * DAY), False, half))
    assert failed.shrunken is not None, "its disk was gone that night, so nobody saw the files again"
    assert failed.with_run(Read("d", int(3 * DAY), True, full)).shrunken is None
    assert sizes.with_run(Read("c", int(2 * DAY), True, half)).shrunken is None, "the path left territory.yml"


def test_files_that_are_back_settle_it_although_another_path_cannot_be_read_since() -> None:
    """One rotten file elsewhere kept a service failed, and its tidying paused, long after the disk was back."""
    before = Read("a", 0, True, {"/srv/a": (100, 100), "/srv/b": (9, 9)})
    emptied = Read("b", DAY, True, {"/srv/a": (0, 0), "/srv/b": (9, 9)})
    rotten = Read("c", 2 * DAY, False, {"/srv/a": (0, 0)})
    assert after(before, emptied, rotten).shrunken is not None
    back = Read("d", 3 * DAY, False, {"/srv/a": (100, 100)})
    assert after(before, emptied, rotten, back).shrunken is None
    both = Read("b", DAY, True, {"/srv/a": (0, 0), "/srv/b": (0, 0)})
    assert after(before, both, rotten, back).shrunken is not None, "nobody saw the files of the other one again"


def test_what_was_confirmed_is_the_measure_and_what_shrinks_after_it_is_found() -> None:
    sizes = after(read(100), read(10, day=1)).confirmed()
    sizes = sizes.with_run(read(9, day=2))
    assert sizes.shrunken is None
    assert sizes.with_run(read(4, day=3)).shrunken is not None


def test_what_was_large_more_than_thirty_days_ago_measures_nothing() -> None:
    slowly = [read(round(100 * 0.97**day), day=day) for day in range(100)]
    assert after(*slowly).shrunken is not None, "3 % a day is most of it in 30 days"
    slowly = [read(round(1000 * 0.985**day), day=day) for day in range(200)]
    assert after(*slowly).shrunken is None


def test_an_hourly_service_is_remembered_by_one_run_a_day() -> None:
    sizes = after(*(read(100 + hour % 24, day=hour * HOUR / DAY) for hour in range(40 * 24)))
    assert len(sizes.recent) <= 32
    assert max(it.files for it in sizes.recent) == 123


def test_a_lost_age_forgets_no_run() -> None:
    assert after(read(100, day=500), read(0, day=0)).shrunken is not None


def manifest(files: int) -> Manifest:
    return Manifest((PathManifest("/srv/a", "read", files, files * MIB),))


@pytest.mark.parametrize("clock", ["2025-06-01", "2099-01-01", "2026-11-20"], ids=["behind", "ahead", "right"])
def test_a_new_writer_finds_what_had_shrunk_before_whatever_the_clocks_said(clock: str) -> None:
    """A service of ten nights, emptied in the last three of them; two of the full ones have another date."""
    dates = [f"2026-11-{day:02}" for day in range(10, 20)]
    dates[5:7] = [clock, clock]
    archives = {f"docs-a-2.{n}-{date}T22:00:00Z-000001": manifest(100 if n < 7 else 0) for n, date in enumerate(dates)}
    assert from_archives(archives, 3 * DAY).shrunken is not None


def test_archives_of_a_former_version_measure_nothing() -> None:
    assert from_archives({"docs-a-2.1-2026-11-01T22:00:00Z-000001": None}, 0) == Sizes()


def test_a_service_that_is_partial_for_months_is_watched_by_the_paths_that_it_reads() -> None:
    """Its last whole run was forgotten after 30 days, and then an emptied folder beside the bad one was green."""
    whole = Read("whole", 0, True, {"/srv/a": (100, 100), "/srv/b": (5, 5)})
    nights = [Read(f"night {day}", int(day * DAY), False, {"/srv/a": (100, 100)}) for day in range(1, 60)]
    sizes = after(whole, *nights)
    assert sizes.shrunken is None
    emptied = sizes.with_run(Read("emptied", int(60 * DAY), False, {"/srv/a": (0, 0)}))
    assert emptied.shrunken is not None
    assert emptied.shrunken.before.archive.startswith("night")


def test_of_a_day_the_largest_run_of_each_choice_of_paths_is_remembered() -> None:
    both, one = {"/srv/a": (100, 100), "/srv/b": (5, 5)}, {"/srv/a": (150, 150)}
    runs = [Read("whole", 0, True, both), Read("part", 60, False, one), Read("nothing", 120, False, {})]
    assert [it.archive for it in after(*runs).recent] == ["whole", "part"]
