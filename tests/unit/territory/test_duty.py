"""Duty weeks: every week has a person or is told as a hole, and a week begins when the colleague hands over."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from appliance.territory.duty import Roster, after, monday, week_at, weeks_from

PARIS = ZoneInfo("Europe/Paris")
TURNS = Roster(rotation=("alice", "bob", "carol"), since="2026-W49")


def at(text: str) -> float:
    """`text` is local time in Paris."""
    return datetime.fromisoformat(text).replace(tzinfo=PARIS).timestamp()


@pytest.mark.parametrize(
    ("week", "person"),
    [("2026-W49", "alice"), ("2026-W50", "bob"), ("2026-W53", "bob"), ("2027-W01", "carol"), ("2027-W02", "alice")],
)
def test_a_rotation_goes_on_over_the_end_of_a_year_with_53_weeks(week: str, person: str) -> None:
    assert TURNS.on_duty(week) == (person,)


def test_a_single_week_counts_before_the_rotation_and_shifts_nobody_else() -> None:
    swapped = Roster(TURNS.rotation, TURNS.since, {"2026-W50": ("carol", "bob")})
    assert [swapped.on_duty(it) for it in ("2026-W49", "2026-W50", "2026-W51")] == [
        ("alice",),
        ("carol", "bob"),
        ("carol",),
    ]


@pytest.mark.parametrize(
    ("local", "week"),
    [
        ("2026-11-30 07:59", "2026-W48"),
        ("2026-11-30 08:00", "2026-W49"),
        ("2026-12-06 23:59", "2026-W49"),
        ("2026-12-07 07:59", "2026-W49"),
        ("2026-10-26 07:59", "2026-W43"),  # the clock changed on Sunday
        ("2026-10-26 08:00", "2026-W44"),
        ("2026-03-30 07:59", "2026-W13"),
        ("2026-03-30 08:00", "2026-W14"),
    ],
)
def test_a_week_begins_on_monday_at_eight_by_the_clock_on_the_wall(local: str, week: str) -> None:
    assert week_at(at(local), PARIS) == week


def test_a_week_is_that_of_the_territory_and_not_of_utc() -> None:
    now = datetime(2026, 11, 29, 23, 30, tzinfo=UTC).timestamp()
    assert (week_at(now, PARIS, "00:00"), week_at(now, ZoneInfo("UTC"), "00:00")) == ("2026-W49", "2026-W48")


def test_weeks_that_nobody_has_are_holes_between_two_weeks_and_after_the_last() -> None:
    listed = Roster(weeks={"2026-W49": ("alice",), "2026-W51": ("bob",)})
    assert listed.holes("2026-W49", 4) == ("2026-W50", "2026-W52")


def test_a_hole_far_ahead_is_told_where_a_later_week_is_planned() -> None:
    listed = Roster(weeks=dict.fromkeys((*weeks_from("2026-W49", "2027-W10"), "2027-W12"), ("alice",)))
    assert listed.holes("2026-W49", 4) == ("2027-W11",)


def test_a_rotation_that_has_not_begun_leaves_holes_and_one_that_has_leaves_none() -> None:
    assert TURNS.holes("2026-W47", 4) == ("2026-W47", "2026-W48")
    assert TURNS.holes("2026-W49", 100) == ()


def test_a_territory_without_a_roster_has_no_holes() -> None:
    assert Roster().holes("2026-W49") == ()


def test_a_week_that_its_year_does_not_have_is_refused() -> None:
    assert after("2026-W53", 1) == "2027-W01"
    with pytest.raises(ValueError, match="53"):
        monday("2027-W53")
