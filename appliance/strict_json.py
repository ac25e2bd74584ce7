"""JSON from another node or a person: what it says can be written down again."""

from __future__ import annotations

import json
from typing import Any


def loads(raw: str | bytes, **hooks: Any) -> Any:
    """As json.loads, of UTF-8 only. Raise ValueError also for half a character such as "\\ud800".

    JSON can escape it and nothing can encode it, so it would stop whatever prints, stores or checks it.
    """
    text = raw if isinstance(raw, str) else raw.decode()
    values = json.loads(text, **hooks)
    if "\\u" in text:
        json.dumps(values, ensure_ascii=False).encode()
    return values
