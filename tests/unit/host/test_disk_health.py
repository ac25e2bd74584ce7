"""Notes of root's side on the disks are shown as they are, and silence is no promise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.host.disks.health import Alarm, alarms, how_kept


@pytest.mark.parametrize(
    ("note", "words"),
    [
        (
            {"encryption": "luks", "unlock": "tpm2", "why": ""},
            "disk encrypted (tpm2), protected against a stolen disk, not against a manipulated machine",
        ),
        (
            {"encryption": "luks", "unlock": "tang", "why": ""},
            "disk encrypted (tang), protected against a stolen box, not against a manipulated one",
        ),
        ({"encryption": "none", "unlock": "tpm2", "why": ""}, "DISK NOT ENCRYPTED (by choice)"),
        (
            {"encryption": "unsupported", "unlock": "tpm2", "why": "a container has no device-mapper"},
            "DISK NOT ENCRYPTED (a container has no device-mapper)",
        ),
    ],
)
def test_how_a_disk_is_kept_is_said_with_the_thief_that_it_does_not_stop(
    tmp_path: Path, note: dict[str, str], words: str
) -> None:
    (tmp_path / "storage").write_text(json.dumps(note))
    assert how_kept(tmp_path / "storage") == words


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"encryption": "luks"}'])
def test_a_note_that_cannot_be_read_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "storage").write_text(text)
    assert "cannot be read" in how_kept(tmp_path / "storage")


def test_where_nobody_said_anything_nothing_is_told(tmp_path: Path) -> None:
    assert how_kept(tmp_path / "storage") == ""
    assert alarms(tmp_path / "alarms") == ()


def test_each_alarm_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "smart_dev_sda").write_text("Device: /dev/sda, 8 Currently unreadable (pending) sectors\n")
    (tmp_path / "scrub").write_text("")
    (tmp_path / "folder").mkdir()
    assert alarms(tmp_path) == (
        Alarm(str(tmp_path / "scrub"), "scrub was reported without a message"),
        Alarm(str(tmp_path / "smart_dev_sda"), "Device: /dev/sda, 8 Currently unreadable (pending) sectors"),
    )
