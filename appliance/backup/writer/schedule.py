"""When is a backup due? Pure: the clock's answers are arguments, and asking often costs and changes nothing.

A daily schedule is a moment of each local day, one of hours or minutes a span since the last run. A missed run (a
machine asleep, an agent stopped) is made up for once, at once, not once for each time missed. The wall clock may be
wrong: a last run that lies in the future says nothing, so it is ignored rather than waited for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from appliance.clock import SKEW_SECONDS_MAX, utc_text
from appliance.errors import UsageError
from appliance.territory.model import Schedule
from appliance.units import format_duration


@dataclass(frozen=True)
class Due:
    """Run now. `since_utc_seconds` is when it should have started, in seconds since 1970."""

    since_utc_seconds: float
    reason: str


@dataclass(frozen=True)
class NotDue:
    """Ask again, at the latest at `next_utc_seconds`."""

    next_utc_seconds: float
    reason: str


def due(schedule: Schedule, last_run_utc: float | None, now_utc: float, zone: str = "Europe/Paris") -> Due | NotDue:
    """Whether to start a run at `now_utc`, when the last one started at `last_run_utc` (None: there was none).

    Both in seconds since 1970. The caller keeps the start of each run before it runs, or a run that fails would be due
    again at once. Raise UsageError when `schedule` is empty.
    """
    if last_run_utc is None:
        return Due(now_utc, "there was no run yet")
    if last_run_utc > now_utc + SKEW_SECONDS_MAX:
        return Due(now_utc, f"the last run is dated {utc_text(last_run_utc)}, in the future, so it is ignored")
    if schedule.span_seconds:
        return _by_span(schedule, last_run_utc, now_utc)
    if not schedule.daily_at:
        raise UsageError("a schedule needs a time of day or a number of hours or minutes.")
    return _by_day(time.fromisoformat(schedule.daily_at), last_run_utc, now_utc, ZoneInfo(zone))


def _by_span(schedule: Schedule, last_run_utc: float, now_utc: float) -> Due | NotDue:
    at = last_run_utc + schedule.span_seconds
    if now_utc >= at:
        return Due(at, f"the last run started {format_duration(now_utc - last_run_utc)} ago")
    return NotDue(at, f"{schedule}, and the last run started at {utc_text(last_run_utc)}")


def _by_day(at: time, last_run_utc: float, now_utc: float, zone: ZoneInfo) -> Due | NotDue:
    today = datetime.fromtimestamp(now_utc, zone).date()
    moments = [_moment(datetime.combine(today + timedelta(days), at), zone) for days in (-1, 0, 1)]
    passed = max(moment for moment in moments if moment <= now_utc)
    if last_run_utc < passed:
        return Due(
            passed, f"the run of {utc_text(passed)} was missed; the last one started at {utc_text(last_run_utc)}"
        )
    coming = min(moment for moment in moments if moment > now_utc)
    return NotDue(coming, f"daily at {at:%H:%M}, and the last run started at {utc_text(last_run_utc)}")


def _moment(local: datetime, zone: ZoneInfo) -> float:
    """Seconds since 1970 of a local time. Each local day has exactly one such moment: in the night that skips an hour,
    a time that does not exist is an hour later on the clock; in the night that repeats one, the first counts."""
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC).timestamp()
