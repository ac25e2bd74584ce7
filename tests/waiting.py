"""Waiting for a state, with a bound."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.pace import LONG

SECONDS_MAX = LONG * 60.0


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Return once `holds()`; fail with `what` after the bound."""
    deadline = time.monotonic() + SECONDS_MAX
    while not holds():
        assert time.monotonic() < deadline, f"not reached within {SECONDS_MAX:.0f} s: {what}"
        time.sleep(0.02)
