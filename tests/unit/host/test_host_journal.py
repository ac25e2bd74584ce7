"""The node's journal: on a disk that is full, and over years."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.host import journal as journal_module
from appliance.host.journal import KEPT, Journal, journal_files

FULL = Path("/dev/full")


def test_a_full_disk_is_told_to_who_must_have_the_line() -> None:
    with pytest.raises(OSError, match="No space left"):
        Journal(FULL, SystemClock()).write("adopted")


def test_a_full_disk_only_loses_the_line_of_who_must_go_on() -> None:
    Journal(FULL, SystemClock()).note("broker-started")


def test_what_is_noted_is_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", SystemClock())
    journal.note("broker-started", bundle=3)
    assert [it["bundle"] for it in journal.events("broker-started")] == [3]


def test_a_line_cut_by_a_full_disk_does_not_swallow_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, SystemClock())
    journal.write("sealed", generation="2.1")
    with open(path, "ab") as file:
        file.write(b'{"time": "2026-11-30T02:00:00Z", "event": "pu')
    journal.write("sealed", generation="2.2")
    journal.write("sealed", generation="2.3")
    assert [it["generation"] for it in journal.events("sealed")] == ["2.1", "2.2", "2.3"]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Journal:
    """A journal that is renamed after each few events."""
    monkeypatch.setattr(journal_module, "ROTATE_BYTES", 500)
    return Journal(tmp_path / "journal.jsonl", SystemClock())


def test_a_journal_of_years_keeps_its_newest_events_within_a_bound(short: Journal, tmp_path: Path) -> None:
    for number in range(200):
        short.write("sealed", number=number)
    files = journal_files(tmp_path / "journal.jsonl")
    numbers = [it["number"] for it in short.events("sealed")]
    assert len(files) in (KEPT, KEPT + 1)
    assert sum(file.stat().st_size for file in files) < (KEPT + 1) * 600
    assert numbers == list(range(numbers[0], 200))
    assert len(numbers) > 40


def test_a_journal_renamed_by_one_process_is_not_renamed_again_by_another(short: Journal, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with open(path, "ab") as late:
        late.write(b'{"event": "sealed", "number": 0}\n')
        late.flush()
        os.rename(path, tmp_path / "journal.jsonl.1")
        short.write("sealed", number=2)
        journal_module._rotate(path, late.fileno())
        late.write(b'{"event": "sealed", "number": 1}\n')
    assert [it["number"] for it in short.events("sealed")] == [0, 1, 2]


def test_a_line_is_written_through_no_link(tmp_path: Path) -> None:
    """A unit that may write every file notes its events in a folder where others write."""
    (tmp_path / "of others").write_text("")
    (tmp_path / "journal.jsonl").symlink_to(tmp_path / "of others")
    journal = Journal(tmp_path / "journal.jsonl", SystemClock())
    with pytest.raises(OSError, match="symbolic links"):
        journal.write("restored")
    journal.note("restored")
    assert (tmp_path / "of others").read_text() == ""
