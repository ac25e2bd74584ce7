"""A backup is due when the town hall expects it: once a night, whatever the night and the clock do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from appliance.backup.writer.schedule import Due, NotDue, due
from appliance.errors import UsageError
from appliance.territory.model import Schedule
from appliance.units import DAY, HOUR, MINUTE

CASES = Path(__file__).parents[2] / "cases" / "schedule"
STEP_SECONDS = 5 * MINUTE


def cases(name: str) -> list[Any]:
    loaded = yaml.safe_load((CASES / name).read_text())
    return [pytest.param(case, id=case["name"]) for case in loaded]


def schedule_of(text: str) -> Schedule:
    if text.startswith("every "):
        count, unit = text.split()[1:]
        return Schedule.of_minutes(int(count) * (60 if unit == "h" else 1))
    return Schedule(daily_at=text)


def seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


@pytest.mark.parametrize("case", cases("one_look.yml"))
def test_one_look_at_the_clock(case: dict[str, Any]) -> None:
    answer = due(
        schedule_of(case["schedule"]),
        seconds(case["last"]),
        case["now"].timestamp(),
        case.get("zone", "Europe/Paris"),
    )
    if "due" in case:
        assert isinstance(answer, Due)
        assert case["due"] in answer.reason
        assert answer.since_utc_seconds <= case["now"].timestamp()
    else:
        assert isinstance(answer, NotDue)
        assert answer.next_utc_seconds == case["next"].timestamp()


def wall_times(case: dict[str, Any]) -> Iterator[float]:
    """The wall clock each time the agent asks."""
    moment, end = case["start"], case["end"]
    while moment <= end:
        if not any(start <= moment < stop for start, stop in case.get("asleep", ())):
            jumps = [jump for since, jump in case.get("clock", ()) if moment >= since]
            yield moment.timestamp() + (jumps[-1] if jumps else 0)
        moment += timedelta(seconds=STEP_SECONDS)


@pytest.mark.parametrize("case", cases("whole_days.yml"))
def test_days_of_an_agent_that_asks_every_few_minutes(case: dict[str, Any]) -> None:
    last, runs = seconds(case["last"]), []
    for now in wall_times(case):
        if isinstance(due(schedule_of(case["schedule"]), last, now), Due):
            runs.append(datetime.fromtimestamp(now, UTC))
            last = now
    assert runs == case["runs"]


def test_an_empty_schedule_is_refused() -> None:
    with pytest.raises(UsageError, match="time of day"):
        due(Schedule(), 0.0, 1e9)


times_of_day = st.times().map(lambda time: f"{time:%H:%M}")
moments = st.floats(1.5e9, 2.5e9, allow_nan=False)


@given(at=times_of_day, start=moments, gaps=st.lists(st.integers(1, 3 * DAY), max_size=60))
def test_each_local_day_has_at_most_one_run_and_what_was_missed_is_made_up_for(
    at: str, start: float, gaps: list[int]
) -> None:
    schedule, last, now = Schedule(daily_at=at), start, start
    answered: list[float] = []
    for gap in gaps:
        now += gap
        answer = due(schedule, last, now)
        if isinstance(answer, Due):
            answered.append(answer.since_utc_seconds)
            last = now
        else:
            assert now < answer.next_utc_seconds <= now + 26 * HOUR
        # Asked again at once, a run that has just started is not due a second time.
        assert isinstance(due(schedule, last, now), NotDue)
    days = [datetime.fromtimestamp(moment, ZoneInfo("Europe/Paris")).date() for moment in answered]
    assert len(days) == len(set(days))
    assert now - last < 26 * HOUR


@given(minutes=st.integers(15, 6000), last=moments, now=moments)
def test_an_answer_of_not_yet_is_kept_at_the_moment_it_names(minutes: int, last: float, now: float) -> None:
    for schedule in (Schedule.of_minutes(minutes), Schedule(daily_at="02:30")):
        answer = due(schedule, last, now)
        if isinstance(answer, NotDue):
            assert isinstance(due(schedule, last, answer.next_utc_seconds), Due)
