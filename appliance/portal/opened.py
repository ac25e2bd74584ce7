"""What the worker of the portal has opened, told to its pages by one small file: the pages themselves open nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from appliance.host.files import make_private_folder, write_atomic
from appliance.portal.freshness import Freshness

FORMAT = 1


@dataclass(frozen=True)
class Opened:
    """A service whose names can be looked up in `catalogue`; `fresh` None when nothing is known of its copies.

    `rewinds_until`: UTC seconds until which a signed act lets a whole share of it be replaced, 0 where none does. It is
    to be shown; whoever replaces looks at the act itself.
    """

    catalogue: Path
    fresh: Freshness | None = None
    rewinds_until: float = 0.0


def save(file: Path, opened: Mapping[str, Opened]) -> None:
    services = {name: {**asdict(it), "catalogue": str(it.catalogue)} for name, it in opened.items()}
    make_private_folder(file.parent)
    write_atomic(file, json.dumps({"format": FORMAT, "services": services}).encode(), mode=0o600)


def load(file: Path) -> dict[str, Opened]:
    """Nothing before the worker has looked for the first time."""
    try:
        services = json.loads(file.read_bytes())["services"]
    except FileNotFoundError:
        return {}
    return {
        name: Opened(Path(it["catalogue"]), _fresh(it["fresh"]), it.get("rewinds_until", 0.0))
        for name, it in services.items()
    }


def _fresh(told: dict[str, Any] | None) -> Freshness | None:
    """JSON knows lists only."""
    if not told:
        return None
    pairs = {name: tuple(map(tuple, told.get(name, ()))) for name in ("partial", "without")}
    return Freshness(**{**told, **pairs})
