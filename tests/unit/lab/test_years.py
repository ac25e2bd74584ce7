"""The writers of a made-up past, and the journal that is left of it."""

from __future__ import annotations

import json
from pathlib import Path

from appliance.host.journal import KEPT, ROTATE_BYTES
from appliance_lab.bench.years import left
from appliance_lab.bench.years.eras import AWAY, eras


def test_eras_have_all_generations_and_end_at_home() -> None:
    found = list(eras(87_600, 30, "home", "standby"))
    assert sum(it.count for it in found) == 87_600
    assert [it.writer for it in found] == ["home", "standby"] * 30 + ["home"]
    assert [it.epoch for it in found] == list(range(2, 2 + 2 * 61, 2))
    assert {it.count for it in found if it.writer == "standby"} == {AWAY}


def test_a_past_too_short_for_a_day_away_has_shorter_ones() -> None:
    found = list(eras(10, 2, "home", "standby"))
    assert sum(it.count for it in found) == 10
    assert all(it.count for it in found)
    assert [it.count for it in eras(7, 0, "home", "standby")] == [7]


def test_a_journal_of_years_keeps_what_a_journal_keeps(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps({"time": "2026-01-01T00:00:00Z", "event": "sealed", "text": "x" * 100_000}) + "\n")
    left.write_journal(path, 10_000, 0.0, 60.0)
    files = sorted(tmp_path.iterdir())
    assert len(files) == KEPT + 1
    assert all(it.stat().st_size < ROTATE_BYTES + 200_000 for it in files)
    newest = json.loads(path.read_text().splitlines()[-1])
    oldest = json.loads((tmp_path / f"journal.jsonl.{KEPT}").read_text().splitlines()[0])
    assert newest["event"] == oldest["event"] == "sealed"
    assert newest["time"] > oldest["time"] > "1970-01-01"


def test_a_journal_of_days_has_all_its_events(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"time": "", "event": "a"}\n{"time": "", "event": "b"}\n')
    left.write_journal(path, 5, 0.0, 60.0)
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["a", "b", "a", "b", "a"]
