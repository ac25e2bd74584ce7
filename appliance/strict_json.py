"""JSON from another node or a person: what it says can be written down again."""

from __future__ import annotations

import json
import re
from typing import Any

_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def loads(raw: str | bytes, **hooks: Any) -> Any:
    """As json.loads, of UTF-8 only. Raise ValueError also for half a character, such as "\\ud800".

    JSON can escape it and nothing can encode it, so it would stop whatever prints, stores or checks it.
    """
    text = raw if isinstance(raw, str) else raw.decode()
    values = json.loads(text, **hooks)
    if _HALF.search(text):
        _check(values)
    return values


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
