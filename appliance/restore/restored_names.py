"""The names of restored files: the original name, with the day and hour of the version, in French. Pure."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from zoneinfo import ZoneInfo

MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)
NAME_BYTES_MAX = 255
SUFFIX_LENGTH_MAX = 10


def french_moment(seconds: float, zone: ZoneInfo, now: float) -> str:
    """UTC seconds as "24 novembre 8 h 05", with the year when it is another than that of `now`."""
    at = datetime.datetime.fromtimestamp(seconds, zone)
    day = "1er" if at.day == 1 else str(at.day)
    year = "" if at.year == datetime.datetime.fromtimestamp(now, zone).year else f" {at.year}"
    minutes = f" {at.minute:02d}" if at.minute else ""
    return f"{day} {MONTHS[at.month - 1]}{year} {at.hour} h{minutes}"


def version_name(name: str, moment: str) -> str:
    """`name` with the moment of its version before its ending: "budget 2026 (version du 24 novembre 8 h).xlsx"."""
    stem, suffix = _split(name)
    return _fitting(stem, f" (version du {moment}){suffix}")


def free_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """`name`, or the first of "name 2", "name 3"... that is not taken."""
    stem, suffix = _split(name)
    found, number = name, 1
    while is_taken(found):
        number += 1
        found = _fitting(stem, f" {number}{suffix}")
    return found


def _split(name: str) -> tuple[str, str]:
    """The name without its ending, and the ending with its dot; a dot far from the end ends nothing."""
    stem, dot, suffix = name.rpartition(".")
    return (stem, f".{suffix}") if stem and dot and 0 < len(suffix) <= SUFFIX_LENGTH_MAX else (name, "")


def _fitting(stem: str, end: str) -> str:
    """`stem` shortened, at a whole letter, until `stem` and `end` together can be a name."""
    while stem and len(os.fsencode(stem + end)) > NAME_BYTES_MAX:
        stem = stem[:-1]
    return stem + end
