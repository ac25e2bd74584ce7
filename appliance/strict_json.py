"""JSON from another node or a person: what it says can be written down again."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def loads(raw: str | bytes, **hooks: Any) -> Any:
    """As json.loads, of UTF-8 only. Raise ValueError also for half a character, such as "\\ud800", and for a number
    without end, such as 1e999 or NaN.

    Nothing can encode the one, which JSON can escape, and Python makes no integer of the other. So each would stop
    whatever prints, stores, counts or checks it.
    """
    text = raw if isinstance(raw, str) else raw.decode()
    values = json.loads(text, **{"parse_float": _finite, "parse_constant": _finite, **hooks})
    if _HALF.search(text):
        _check(values)
    return values


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is not a finite number")
    return value


def _check(values: Any) -> None:
    """Text by text: all of it at once would take the memory of the whole again."""
    left = [values]
    while left:
        value = left.pop()
        if isinstance(value, str):
            value.encode()
        elif isinstance(value, list):
            left.extend(value)
        elif isinstance(value, dict):
            left.extend((*value, *value.values()))
