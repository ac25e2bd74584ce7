"""The findings of the last try of the retention lock (`lock_probe.py`), in one small file that anybody may read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.host.records import Record

FILE_OF_A_HOST = Path("/run/appliance-probe/lock.json")
"""Where the timer's unit of a host leaves what it found. In process mode there is no other account to try it as."""


@dataclass(frozen=True)
class Probed:
    """`time` UTC seconds. `allowed`: what could be changed. `broken`: a generation that went while it was locked; ""
    for none. `canary_seconds`: how old the canary is by the ageing clock; None when nothing is locked."""

    time: float
    allowed: tuple[str, ...] = ()
    broken: str = ""
    canary_seconds: int | None = None


@dataclass(frozen=True)
class Found:
    services: Mapping[str, Probed] = field(default_factory=dict)


KEPT = Record(Found, 1, mode=0o644)


def save(path: Path, found: Mapping[str, Probed]) -> None:
    KEPT.save(path, Found(found))


def load(path: Path) -> Mapping[str, Probed]:
    """Return the last findings; none where nothing was tried, or nothing that can be read."""
    return KEPT.load_or(path, Found()).services
