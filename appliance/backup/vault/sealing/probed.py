"""What was found when the retention lock was last tried (`lock_probe.py`), in one small file that anybody may read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from appliance.host.files import write_atomic

FORMAT = 1
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


def save(path: Path, found: Mapping[str, Probed]) -> None:
    services = {name: asdict(it) for name, it in found.items()}
    write_atomic(path, json.dumps({"format": FORMAT, "services": services}).encode())


def load(path: Path) -> Mapping[str, Probed]:
    """What was found last; nothing where nothing was tried, or nothing that can be read."""
    try:
        said: dict[str, Any] = json.loads(path.read_bytes())
        if said["format"] != FORMAT:
            return {}
        return {name: Probed(**{**it, "allowed": tuple(it["allowed"])}) for name, it in said["services"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
