from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.clock import Clock, SimulatedClock, SystemClock, utc_seconds, utc_text


@pytest.fixture(params=[SystemClock, SimulatedClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    """Both versions of the port keep one contract."""
    made: Clock = request.param()
    return made


def test_boot_time_never_goes_back(clock: Clock) -> None:
    first = clock.boottime()
    assert clock.boottime() >= first > 0


def test_a_boot_keeps_its_name(clock: Clock) -> None:
    assert clock.boot_id() == clock.boot_id() != ""


def test_wall_time_is_after_this_line_was_written(clock: Clock) -> None:
    assert clock.now() > utc_seconds("2026-01-01T00:00:00Z")


def test_a_simulated_clock_moves_only_when_told() -> None:
    clock = SimulatedClock(now=100.0, boottime=10.0)
    clock.advance(5)
    assert (clock.now(), clock.boottime()) == (105.0, 15.0)


def test_setting_the_wall_clock_leaves_deadlines_alone() -> None:
    clock = SimulatedClock(now=100.0, boottime=10.0)
    clock.jump_wall(-50)
    assert (clock.now(), clock.boottime()) == (50.0, 10.0)


def test_a_reboot_starts_boot_time_again_under_another_name() -> None:
    clock = SimulatedClock()
    before = clock.boot_id()
    clock.reboot()
    assert clock.boottime() == 0.0
    assert clock.boot_id() != before


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1_800_000_000, "2027-01-15T08:00:00Z"), (1_800_000_000.9, "2027-01-15T08:00:00Z")],
)
def test_stored_times_are_utc_to_the_second(seconds: float, text: str) -> None:
    assert utc_text(seconds) == text


@given(st.integers(0, 4_102_444_800))
def test_a_stored_time_reads_back_as_it_was(seconds: int) -> None:
    assert utc_seconds(utc_text(seconds)) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-25",
        "2026-11-25 08:00:00Z",
        "2026-11-25T08:00:00",
        "2026-11-25T08:00:00+01:00",
        "2026-13-01T00:00:00Z",
        # One moment has one text: a signed document must not be writable in two ways.
        "2026-1-5T8:0:0Z",
        "2026-11-25T08:00:60Z",
    ],
)
def test_another_form_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|second"):
        utc_seconds(text)
