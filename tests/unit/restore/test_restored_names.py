"""A restored file has a name with its date, and that can exist."""

from __future__ import annotations

import datetime
import os
from zoneinfo import ZoneInfo

import pytest

from appliance.restore.restored_names import free_name, french_moment, version_name

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime.datetime(2026, 11, 26, 12, tzinfo=PARIS).timestamp()


@pytest.mark.parametrize(
    ("utc", "said"),
    [
        ("2026-11-24T07:00:00", "24 novembre 8 h"),
        ("2026-08-01T06:05:00", "1er août 8 h 05"),
        ("2025-12-31T23:30:00", "1er janvier 0 h 30"),
        ("2024-03-03T20:59:59", "3 mars 2024 21 h 59"),
    ],
)
def test_a_moment_is_said_in_french_and_local_time(utc: str, said: str) -> None:
    seconds = datetime.datetime.fromisoformat(utc).replace(tzinfo=datetime.UTC).timestamp()
    assert french_moment(seconds, PARIS, NOW) == said


@pytest.mark.parametrize(
    ("name", "dated"),
    [
        ("budget 2026.xlsx", "budget 2026 (version du 24 novembre 8 h).xlsx"),
        ("sans fin", "sans fin (version du 24 novembre 8 h)"),
        (".profile", ".profile (version du 24 novembre 8 h)"),
        ("M. le maire et ses adjoints", "M. le maire et ses adjoints (version du 24 novembre 8 h)"),
        ("fin.", "fin. (version du 24 novembre 8 h)"),
        ("facture\udcff.pdf", "facture\udcff (version du 24 novembre 8 h).pdf"),
    ],
)
def test_the_moment_stands_before_the_ending(name: str, dated: str) -> None:
    assert version_name(name, "24 novembre 8 h") == dated


def test_a_long_name_is_shortened_and_keeps_its_ending() -> None:
    dated = version_name(f"{'é' * 125}.odt", "24 novembre 8 h")
    assert dated.endswith(" (version du 24 novembre 8 h).odt")
    assert 250 < len(os.fsencode(dated)) <= 255


def test_a_taken_name_gets_a_number() -> None:
    taken = {"a.odt", "a 2.odt"}
    assert free_name("a.odt", taken.__contains__) == "a 3.odt"
    assert free_name("b.odt", taken.__contains__) == "b.odt"
