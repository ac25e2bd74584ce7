"""How slow this machine is, measured once in a run: bounds of tests stretch by it.

A virtual machine may give a seventh of its usual speed for a whole day, and nothing inside tells: neither load nor
stolen time; and it may become slower in the middle of a run. Tests ask what the product does, not how fast it is
(`make bench` measures that), so a bound that only says "it hangs" is written in seconds of the usual machine, times
LONG. The few that repeat a promise in seconds (a page, an alert, a service served again) ask `in_time`: such a promise
is proven at the usual speed alone.
"""

from __future__ import annotations

import os
import time

VARIABLE = "APPLIANCE_TEST_PACE"
TURNS = 200_000
USUAL_SECONDS = 0.0015
"""TURNS turns of an empty loop, Debian's Python 3.13, on the machine of docs/results (2 cores of an AMD EPYC)."""
PAUSE_SECONDS = 0.02


def _measured() -> float:
    """The best of forty in about a second, so that a moment in which the machine stood still does not count, and other
    work beside it little; never below 1."""
    return max(1.0, min(_turns() for _ in range(40)) / USUAL_SECONDS)


def _turns() -> float:
    time.sleep(PAUSE_SECONDS)
    started = time.perf_counter()
    for _ in range(TURNS):
        pass
    return time.perf_counter() - started


# Workers inherit the variable, so that all stretch alike.
if VARIABLE not in os.environ:
    os.environ[VARIABLE] = f"{_measured():.1f}"
PACE = float(os.environ[VARIABLE])
LONG = 3 * PACE
"""As slow as the machine may become after it was measured."""


def in_time(seconds: float, promised: float) -> bool:
    """Whether `seconds` here are at most `promised` ones of the usual machine; a slower one is measured again."""
    return seconds <= PACE * promised or seconds <= _measured() * promised
