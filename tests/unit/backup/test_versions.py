"""No clock removes history: previous versions are counted in the order in which they were made."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.backup.versions import Keep, Plan, decide, is_ours, name_of
from appliance.units import DAY, HOUR, MINUTE

YEAR = 365 * DAY
NOW = 1_795_000_000.0 - 1_795_000_000 % DAY + 10 * HOUR  # some day, 10:00 UTC
SHARES, HOLDINGS = Keep(hours=48, days=35), Keep(hours=0, days=7)


@cache
def played(hours: int, keep: Keep = SHARES, start: float = NOW, names: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The snapshots after a timer ran each hour from `start` on."""
    for number in range(hours):
        names = after(names, start + number * HOUR, keep)
    return names


def after(names: tuple[str, ...], now: float, keep: Keep = SHARES, *, on_demand: bool = False) -> tuple[str, ...]:
    plan = decide(names, now, keep, on_demand=on_demand)
    return tuple(name for name in (*names, *filter(None, [plan.make])) if name not in plan.drop)


def test_the_first_run_makes_one_and_drops_none() -> None:
    assert decide((), NOW, SHARES) == Plan(name_of(NOW), ())


def test_within_the_same_hour_none_is_made_unless_somebody_asks() -> None:
    names = (name_of(NOW),)
    assert decide(names, NOW + 30 * MINUTE, SHARES) == Plan("", ())
    assert decide(names, NOW + 30 * MINUTE, SHARES, on_demand=True) == Plan(name_of(NOW + 30 * MINUTE), ())


def test_what_a_backup_asks_for_in_between_takes_no_hours_version_away() -> None:
    names: tuple[str, ...] = (name_of(NOW),)
    for minutes in (10, 20, 30):
        names = after(names, NOW + minutes * MINUTE, on_demand=True)
        assert names == (name_of(NOW), name_of(NOW + minutes * MINUTE))
    assert after(names, NOW + HOUR) == (name_of(NOW), name_of(NOW + HOUR))


def test_two_in_one_second_have_two_names() -> None:
    assert decide((name_of(NOW),), NOW, SHARES, on_demand=True).make == name_of(NOW + 1)


def test_after_a_hundred_days_48_hours_and_35_days_are_there() -> None:
    names = played(100 * 24)
    assert len(names) == 48 + 35 - 3  # three of the days end within the 48 hours
    assert len({name[:15] for name in names}) == 35
    assert len({name[:18] for name in names[-48:]}) == 48


def test_what_is_held_for_others_is_kept_by_day() -> None:
    names = played(30 * 24, HOLDINGS)
    assert len(names) == 7
    assert decide(names, NOW + 30 * 24 * HOUR - 1, HOLDINGS) == Plan("", ())


@pytest.mark.parametrize("jump", [YEAR, -YEAR, 10 * YEAR, 3 * HOUR, -3 * HOUR, -DAY, 40 * DAY, -40 * DAY])
def test_a_clock_that_jumps_costs_no_more_than_an_hour_as_every_other(jump: float) -> None:
    names = played(100 * 24)
    there = after(names, NOW + 100 * DAY + jump)
    assert len(set(names) - set(there)) <= 2
    # Three days under the wrong clock, then it is right again: what was made in them is still there by its hours.
    wrong = played(72, start=NOW + 100 * DAY + jump, names=names)
    back = after(wrong, NOW + 103 * DAY)
    assert len(set(wrong) - set(back)) <= 2
    assert set(wrong[-47:]) <= set(back)


def test_a_machine_that_was_off_for_a_year_keeps_what_it_had() -> None:
    names = played(100 * 24)
    assert len(set(names) - set(after(names, NOW + 100 * DAY + YEAR))) <= 2


def test_names_of_another_form_are_never_touched() -> None:
    others = ("notes", "@GMT-2026.11.25", "@GMT-2026.11.25-08.00.00.old", "@GMT-2026.1.5-8.0.0")
    assert not any(map(is_ours, others))
    plan = decide((*others, *played(200 * 24)), NOW + 200 * DAY, SHARES)
    assert not set(others) & set(plan.drop)


@given(st.lists(st.integers(-2 * YEAR, 2 * YEAR), min_size=1, max_size=40))
@settings(max_examples=60)
def test_whatever_the_clock_says_the_last_hours_worked_are_there(jumps: list[int]) -> None:
    names: tuple[str, ...] = ()
    for number, jump in enumerate(jumps):
        names = after(names, NOW + number * HOUR + jump)
    hours = [name[:18] for name in names]
    # Fewer than 48 runs: nothing was dropped but an earlier one that bore the very same hour as the next.
    assert len(names) == sum(1 for one, two in zip(hours, [*hours[1:], ""], strict=True) if one != two)
    assert len(names) >= len({int((NOW + n * HOUR + jump) // HOUR) for n, jump in enumerate(jumps)})


@given(st.lists(st.integers(-2 * YEAR, 2 * YEAR), max_size=150), st.integers(-2 * YEAR, 2 * YEAR))
@settings(max_examples=40)
def test_from_a_settled_state_one_run_drops_two_at_most(jumps: list[int], last: int) -> None:
    names: tuple[str, ...] = ()
    for jump in jumps:
        names = after(names, NOW + jump)
    assert len(decide(names, NOW + last, SHARES, on_demand=True).drop) <= 2
