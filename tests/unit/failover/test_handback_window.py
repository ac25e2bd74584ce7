"""When it is night, by the clock of the town halls."""

from __future__ import annotations

import pytest

from appliance.clock import utc_seconds
from appliance.failover.handback_window import in_handback_window

PARIS = "Europe/Paris"


@pytest.mark.parametrize(
    ("window", "time", "expected"),
    [
        ("01:00-05:00", "2026-11-25T00:00:00Z", True),
        ("01:00-05:00", "2026-11-24T23:59:59Z", False),
        ("01:00-05:00", "2026-11-25T03:59:59Z", True),
        ("01:00-05:00", "2026-11-25T04:00:00Z", False),
        ("01:00-05:00", "2026-07-01T03:00:00Z", False),
        ("22:00-05:00", "2026-11-25T22:30:00Z", True),
        ("22:00-05:00", "2026-11-25T02:30:00Z", True),
        ("22:00-05:00", "2026-11-25T12:00:00Z", False),
        ("02:10-02:50", "2026-03-29T00:30:00Z", False),
        ("never", "2026-11-25T02:00:00Z", False),
    ],
)
def test_it_is_night_between_two_local_times(window: str, time: str, expected: bool) -> None:
    assert in_handback_window(window, utc_seconds(time), PARIS) is expected
