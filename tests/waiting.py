"""Waiting for a state, with a bound."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.pace import LONG

SECONDS_MAX = LONG * 60.0


def wait_until(holds: Callable[[], object], what: str, seconds_max: float = SECONDS_MAX) -> float:
    """Return once `holds()`, and after how many seconds; fail with `what` after the bound."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() < begun + seconds_max, f"not reached within {seconds_max:.0f} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - begun
