"""The sample of a drill, when it brings everything back, and the differences it sees: each must be seen."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.backup.proofs.compare import compare_contents, compare_items, read_dumps
from appliance.backup.proofs.drill import SAMPLE_BYTES, SAMPLE_FILES, WHOLE_SECONDS, draw, wants_everything
from appliance.backup.proofs.proofs import Damaged, Drilled, Proofs, Round, load_proofs, save_proofs
from appliance.backup.proofs.verify import SLICE_BYTES_MIN, SLICES_PER_ROUND, slice_of, slices
from appliance.borg.model import Item, Kind
from appliance.host.files import sha256_file
from appliance.host.layout import ServiceLayout
from appliance.restore.walk import Stored
from appliance.units import DAY, GIB

DRILLED = Drilled("2026-11-25T02:00:00Z", 1000, "2.1", "a", 1, True, 1, 1, 1, 0.5, told=("x",))


def item(path: str, kind: Kind = "file", size: int = 1, **more: object) -> Item:
    plain = Item(path, kind, 0o644, "u", "g", 0, 0, 1_700_000_000.25, size, "", True)
    return replace(plain, **more)  # type: ignore[arg-type]


def test_a_seed_draws_the_same_files_again_and_another_seed_others() -> None:
    items = [item(f"f{number}") for number in range(1000)] + [item("folder", "folder"), item("link", "symlink")]
    drawn = draw(items, 3)
    assert draw(reversed(items), 3) == drawn
    assert {it.kind for it in drawn} == {"file"}
    assert len(drawn) == SAMPLE_FILES
    assert len(set(draw(items, 4)) & set(drawn)) < SAMPLE_FILES / 2


def test_large_files_do_not_keep_small_ones_out_of_the_sample() -> None:
    large = [item(f"large{number}", size=SAMPLE_BYTES // 2) for number in range(20)]
    drawn = draw([*large, *(item(f"small{number}") for number in range(100))], 1)
    assert sum(it.size for it in drawn) <= SAMPLE_BYTES
    assert len(drawn) == SAMPLE_FILES
    huge = item("huge", size=10 * SAMPLE_BYTES)
    assert draw([huge], 1) == (huge,), "a service of one file is drilled with it"
    assert draw([], 1) == ()


@pytest.mark.parametrize(
    ("last", "now", "wanted"),
    [(None, 0, True), (0, WHOLE_SECONDS - 1, False), (0, WHOLE_SECONDS, True), (2 * DAY, DAY, True)],
)
def test_everything_comes_back_every_four_weeks_of_the_ageing_clock(last: int | None, now: int, wanted: bool) -> None:
    whole = None if last is None else replace(DRILLED, age=last)
    assert wants_everything(Proofs(whole=whole), now) is wanted


def test_daily_shares_make_a_round_within_a_week_even_when_one_fails() -> None:
    for total in (0, 1, 10 * GIB, 300 * GIB + 1):
        assert slice_of(total) * SLICES_PER_ROUND >= total
    assert SLICES_PER_ROUND < 7
    assert slice_of(0) == SLICE_BYTES_MIN


def test_a_slice_never_ends_between_two_versions_of_one_path() -> None:
    versions = [Stored(path, 3, archive) for path in "abcd" for archive in ("new", "old")]
    pieces = list(slices(versions, 5))
    assert [[it.path for it in piece] for piece in pieces] == [[path] * 2 for path in "abcd"]
    assert [it for piece in slices(versions, 1000) for it in piece] == versions
    assert list(slices([], 5)) == []


def test_proofs_come_back_from_their_file_and_a_broken_file_proves_nothing(tmp_path: Path) -> None:
    layout = ServiceLayout(tmp_path)
    assert load_proofs(layout) == Proofs()
    ended = Round("2026-11-25T02:00:00Z", "x/\udcff", 3, 4, 0.5, (Damaged("a", "x/\udcff", "why"),), "later", 9, "2.1")
    proofs = Proofs(Round("2026-11-25T02:00:00Z"), ended, DRILLED, replace(DRILLED, wrong=("y",)))
    save_proofs(layout, proofs)
    assert load_proofs(layout) == proofs
    (tmp_path / "proofs.json").write_text('{"format": 1, "round": []}')
    assert load_proofs(layout) == Proofs()


@pytest.fixture
def restored(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir(mode=0o755)
    (tmp_path / "folder/file").write_text("content")
    (tmp_path / "folder/file").chmod(0o644)
    os.symlink("file", tmp_path / "folder/link")
    for path in ("folder/file", "folder"):
        os.utime(tmp_path / path, (1_700_000_000.25, 1_700_000_000.25))
    return tmp_path


GOOD = (
    item("folder", "folder", 0, mode=0o755),
    item("folder/file", size=7),
    item("folder/link", "symlink", link_target="file"),
)


def test_what_came_back_as_it_was_has_no_difference(restored: Path) -> None:
    assert list(compare_items(GOOD, restored)) == []
    assert list(compare_contents({"folder/file": sha256_file(restored / "folder/file")}, restored)) == []


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        (item("folder/other"), "folder/other: was not restored"),
        (item("folder/file", size=8), "folder/file: has 7 bytes, not 8."),
        (item("folder/file", size=7, mtime_seconds=1.0), "folder/file: has another time"),
        (item("folder/file", size=7, mode=0o600), "folder/file: has mode 0644, not 0600."),
        (item("folder/file", "symlink", link_target="x"), "folder/file: is not a symlink any more."),
        (item("folder/link", "symlink", link_target="x"), "folder/link: points to file, not to x."),
        (item("folder", "fifo"), "folder: is not a fifo any more."),
    ],
)
def test_each_difference_is_one_sentence(restored: Path, saved: Item, said: str) -> None:
    (found,) = compare_items([saved], restored)
    assert found.startswith(said)


def test_other_content_of_the_same_size_is_seen(restored: Path) -> None:
    (found,) = compare_contents({"folder/file": "0" * 64}, restored)
    assert found == "folder/file: its content differs from the archive."


def test_a_database_is_read_by_its_own_tools(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "good.sqlite")) as base:
        base.execute("CREATE TABLE t(x)")
        base.executemany("INSERT INTO t VALUES(?)", [("x" * 500,)] * 100)
        base.commit()
    whole = (tmp_path / "good.sqlite").read_bytes()
    (tmp_path / "broken.sqlite").write_bytes(whole[:8192] + b"\xff" * 4096 + whole[12288:])
    (tmp_path / "cut.dump").write_bytes(b"PGDMP\x01")
    items = [item("good.sqlite"), item("broken.sqlite"), item("cut.dump")]
    assert read_dumps("files", items, tmp_path) == ((), ())
    (broken,), told = read_dumps("sqlite", items, tmp_path)
    assert broken.startswith("broken.sqlite: ")
    assert told == ()
    broken_dumps, untold = read_dumps("postgresql", items, tmp_path)
    (said,) = (*broken_dumps, *untold)
    assert said.startswith("cut.dump: ")
