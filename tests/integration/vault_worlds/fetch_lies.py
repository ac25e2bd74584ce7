"""Lies of a peer in the place of its answer to a fetch."""

from __future__ import annotations

from typing import Any

from appliance.backup.vault.limits import HEADERS_MAX, LISTING_BYTES_MAX

OLDER = "the older one"
WITHOUT_GRANTS = {"grants": []}

# What the standby puts in the place of its answer; what is said of it.
LIES: dict[str, tuple[dict[str, Any], str]] = {
    "another generation": ({"generation": OLDER}, "was asked for generation"),
    "no generation": ({"generation": None}, "did not answer with a generation"),
    "a list of less than nothing": ({"list_bytes": -1}, "a list of at most"),
    "an endless list": ({"list_bytes": LISTING_BYTES_MAX + 1}, "a list of at most"),
    "a list of true bytes": ({"list_bytes": True}, "a list of at most"),
    "a list of a text": ({"list_bytes": "5"}, "a list of at most"),
    "an epoch that nobody granted": (WITHOUT_GRANTS, "a header of epoch 2 of docs-a without its grant"),
    "grants that are no texts": ({"grants": [{}]}, "did not answer with grants"),
    "headers that are no list": ({"headers": {"a": "b"}}, "did not answer with grants"),
    "no headers": ({"headers": []}, "without its header"),
    "endless headers": ({"headers": ["x"] * (HEADERS_MAX + 1)}, f"at most {HEADERS_MAX} headers"),
}
