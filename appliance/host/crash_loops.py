"""The units of this machine that systemd starts again and again because they end each time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from appliance.errors import ApplianceError
from appliance.host.command import run
from appliance.units import MINUTE

RESTARTS_MIN = 3
"""One that was ended from outside, or met a disk that was full for a moment, is started again once or twice."""
STEADY_SECONDS = MINUTE
"""Ours wait for 10 s at most between two starts: one whose state has not changed for so long runs, or rests."""
_ASKED = ("Id", "NRestarts", "StateChangeTimestampMonotonic")
_ASKING = ("systemctl", "show", f"--property={','.join(_ASKED)}")
_SECONDS_MAX = 10.0


def crash_loops(units: Iterable[str]) -> tuple[str, ...]:
    """Return those of `units` that end as often as they start; none where systemd does not answer this account."""
    try:
        told = run((*_ASKING, *units), timeout_seconds=_SECONDS_MAX)
    except ApplianceError:
        return ()
    return looping(told.stdout.decode(), time.clock_gettime(time.CLOCK_MONOTONIC))


def looping(shown: str, now: float) -> tuple[str, ...]:
    """The same of what `systemctl show` printed; `now` in seconds since the machine started. Pure."""
    blocks = (dict(line.partition("=")[::2] for line in block.splitlines()) for block in shown.split("\n\n"))
    return tuple(block["Id"] for block in blocks if _loops(block, now))


def _loops(block: Mapping[str, str], now: float) -> bool:
    try:
        restarts, changed = (int(block[name]) for name in _ASKED[1:])
    except (KeyError, ValueError):
        return False
    return restarts >= RESTARTS_MIN and now - changed / 1_000_000 < STEADY_SECONDS
