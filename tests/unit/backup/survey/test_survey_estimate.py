"""From looks to figures: which are measured, which stay guesses, and how territory.yml writes them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from appliance.backup.survey.estimate import as_setting, draft
from appliance.backup.survey.looks import Look
from appliance.backup.survey.walk import Seen
from appliance.clock import utc_text
from appliance.config.fields import Declared, DeclaredSize
from appliance.units import DAY, GIB, MIB, parse_bytes

START = 1_800_000_000.0


def seen(**fields: Any) -> Seen:
    """A walk of 100 GiB, of which the last day changed 2 and the day before 3."""
    plain = {
        "at": START,
        "files": 10,
        "bytes": 100 * GIB,
        "changed_by_day": (2 * GIB, 3 * GIB, 0, 0, 0, 0, 0),
        "changed": 0,
        "arrived": 0,
        "undated": 0,
        "unreadable": (),
        "unreadable_count": 0,
    }
    return Seen(**{**plain, **fields})


def rows(*changed: int, days: float = 1.0, **fields: Any) -> list[Look]:
    """A first look, and one each `days` later that found `changed` GiB."""
    times = [utc_text(START + days * DAY * number) for number in range(len(changed) + 1)]
    plain = {"files": 10, "bytes": 100 * GIB, "undated": 0, "unreadable": 0, **fields}
    first = Look(at=times[0], since="", changed_bytes=0, **plain)
    return [first, *(Look(times[n + 1], times[n], changed_bytes=it * GIB, **plain) for n, it in enumerate(changed))]


WEEK = (1, 1, 1, 1, 1, 0, 2)


@pytest.mark.parametrize(
    ("now", "looks", "size", "change"),
    [
        pytest.param({}, [], "100G", "~3G", id="one walk takes the busiest of seven days as a guess"),
        pytest.param({}, rows(), "100G", "~3G", id="a first look is one walk"),
        pytest.param({}, rows(*WEEK), "100G", "1G", id="a week is measured by its mean"),
        pytest.param({}, rows(0, 0, 0, 0, 0, 0, 20), "100G", "4G", id="one busy day must fit in five times the change"),
        pytest.param({}, rows(1, 1), "100G", "~3G", id="two days are fewer than a week, and times of files say more"),
        pytest.param({}, rows(9, 9), "100G", "~9G", id="two days are fewer than a week, and say more"),
        pytest.param({}, rows(2, 2, 2, days=2.5), "100G", "~3G", id="a week of three looks misses what changes daily"),
        pytest.param({}, rows(2, 2, 2, 2, days=2.0), "100G", "1G", id="a look each second day is enough"),
        pytest.param({"unreadable_count": 1}, rows(*WEEK), "~100G", "~1G", id="an unread folder makes both a guess"),
        pytest.param({}, rows(*WEEK, unreadable=2), "100G", "~1G", id="one that was unread on a day makes one a guess"),
        pytest.param({}, rows(*WEEK, undated=2), "100G", "~1G", id="files of the future make the change a guess"),
        pytest.param({}, rows(1, 1, 60, 1, 1, 0, 2), "100G", "~12G", id="one day with a copy makes the change a guess"),
        pytest.param({}, rows(*[60] * 7), "100G", "60G", id="what is written again each day is no copy"),
        pytest.param({"bytes": 40 * GIB}, rows(*WEEK), "~40G", "~1G", id="half of it gone is a disk not mounted"),
        pytest.param({"bytes": 0, "changed_by_day": (0,) * 7}, [], "1M", "~1M", id="an empty folder has the least"),
    ],
)
def test_the_figures_and_their_marks(now: dict[str, Any], looks: list[Look], size: str, change: str) -> None:
    found = draft(seen(**now), looks)
    assert found.settings == {"size": size, "change_per_day": change}
    assert set(found.why) == set(found.settings)


def test_each_guess_has_its_reason() -> None:
    assert "2 folders could not be read" in draft(seen(unreadable_count=2), []).why["size"]
    assert "is a disk not mounted?" in draft(seen(bytes=1), rows(*WEEK)).why["change_per_day"]
    assert "as after a copy" in draft(seen(changed_by_day=(90 * GIB, 0, 0, 0, 0, 0, 0)), []).why["change_per_day"]
    assert "changed on 1 day, as after a copy" in draft(seen(), rows(1, 1, 60, 1, 1, 0, 2)).why["change_per_day"]
    assert "By the times of the files: 3 GiB" in draft(seen(), []).why["change_per_day"]
    assert draft(seen(), rows(*WEEK)).why["change_per_day"].startswith("7.0 days of looks: 1 GiB a day, 2 GiB on the")


@pytest.mark.parametrize(
    ("size", "written"),
    [
        (0, "1M"),
        (MIB + 1, "1.1M"),
        (5 * MIB, "5M"),
        (99 * MIB, "99M"),
        (101 * MIB, "110M"),
        (990 * MIB, "990M"),
        (1001 * MIB, "1G"),
        (GIB, "1G"),
        (GIB + 1, "1.1G"),
        (80 * GIB, "80G"),
        (1000 * GIB, "1T"),
        (3 * 1024 * GIB, "3T"),
    ],
)
def test_a_figure_is_rounded_up_in_the_notation_of_the_file(size: int, written: str) -> None:
    assert as_setting(size) == written
    assert size <= parse_bytes(written) <= max(MIB, 1.12 * size)


def test_the_file_reads_what_a_survey_writes() -> None:
    written = draft(seen(), []).settings["change_per_day"]
    assert TypeAdapter(DeclaredSize).validate_python(written) == Declared(3 * GIB, guessed=True)
