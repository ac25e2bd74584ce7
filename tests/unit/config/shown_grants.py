"""The grants that nodes show when the key holder collects their keys."""

from __future__ import annotations

from typing import Any

from appliance.config.collected import Collected
from appliance.trust.keys import PublicKeys, public_line
from appliance.trust.voted import read_voted
from tests.worlds.documents import STANDBY
from tests.worlds.voters import KEYS, asked, granted, voting

BY_VOTERS = granted(asked(2, STANDBY), voting())
STATEMENT = read_voted(BY_VOTERS, voting()).statement


NOW = 1_790_000_000.0


def shown(
    name: str, *grants: bytes, says: bool = True, key: Any = None, brought: float | None = NOW
) -> dict[str, Collected]:
    keys = PublicKeys(public_line(key or KEYS[name]), f"ssh {name}", f"host {name}", "a")
    return {name: Collected("peer", keys, grants if says else None, brought)}
