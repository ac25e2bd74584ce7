"""Lies of a peer about a generation that it hands on: about its receipt, and about its age."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appliance.units import DAY

BAD_RECEIPTS: dict[str, dict[str, Any]] = {
    "none": {"receipt": None},
    "no text": {"receipt": 5},
    "half a character": {"receipt": "\ud800"},
    "no age": {"age_seconds": None},
    "an age in halves": {"age_seconds": 0.5},
    "an age before its receipt": {"age_seconds": -1},
    "an age beyond all time": {"age_seconds": 2**62},
}
DAYS = 40
# How long the holder says that it has had each of 40 daily generations, in the order in which they were made.
LIES: dict[str, Callable[[int], float]] = {
    "the truth": lambda day: (DAYS - day) * DAY,
    "a hundred years": lambda day: 100 * 365 * DAY - DAY,
    "since one and the same day": lambda day: 50 * DAY,
    "since now": lambda day: 0,
    "in the opposite order": lambda day: day * DAY,
    "two on each second day": lambda day: (DAYS - day // 2 * 2) * DAY,
}
