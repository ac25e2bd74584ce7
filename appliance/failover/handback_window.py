"""When a handback may start by itself: between two local times, such as 01:00-05:00. Pure."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

from appliance.territory.model import NEVER


def in_handback_window(window: str, wall: float, zone: str) -> bool:
    """Whether `wall`, UTC seconds, lies in `window` of the time zone `zone`; one that ends before it begins goes on
    past midnight. A wrong clock moves a service at another hour, and does nothing else."""
    if window == NEVER:
        return False
    begin, end = map(time.fromisoformat, window.split("-"))
    now = datetime.fromtimestamp(wall, ZoneInfo(zone)).time()
    return begin <= now < end if begin < end else now >= begin or now < end
