"""Files and fields that pages which were broken into write in the place of a request."""

from __future__ import annotations

from typing import Any

OURS = ("order.json", "status.json", "progress", "progress.new", "packing.zip", "result", "lock", "undo", "again")
FORGED: list[dict[str, Any]] = [
    {"id": "../../../etc"},
    {"id": "0" * 32},
    {"service": "other"},
    {"kind": "rm"},
    {"person": 7},
    {"person": "x" * 300},
    {"person": "\ud800"},
    {"archive": "a\0b"},
    {"archive": ["monday"]},
    {"moment_seconds": 1e300},
    {"moment_seconds": float("nan")},
    {"moment_seconds": "soon"},
    {"created_utc_seconds": 10**400},
    {"paths": [7]},
    {"paths": "srv"},
    {"paths": {"a": 1}},
    {"more": 1},
]
