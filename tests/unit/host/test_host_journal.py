"""The node's journal on a disk that is full."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.host.journal import Journal

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
