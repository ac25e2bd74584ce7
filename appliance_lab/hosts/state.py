"""The memory of a lab between commands: little, and written before the thing it describes is made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from appliance.errors import IntegrityError, NotFound
from appliance.host.files import write_atomic
from appliance_lab.hosts.plan import Uplink

FORMAT = 1


@dataclass(frozen=True)
class State:
    """`complete`: an `up` came to its end and the network is whole. `backends`: what this kernel made us use.

    `faults`, by target, were remembered before they were made and are forgotten once they are healed: none is ever in
    force that is not in here.
    """

    lab: str
    inventory: str
    uplink: int
    base: str = ""
    complete: bool = False
    backends: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def way(self) -> Uplink:
        return Uplink(self.uplink)

    def with_(self, **changes: Any) -> State:
        return replace(self, **changes)


def write_state(path: Path, state: State) -> None:
    write_atomic(path, json.dumps({"format": FORMAT, **asdict(state)}, indent=1).encode() + b"\n", mode=0o600)


def read_state(path: Path) -> State:
    """The state in `path`; raise NotFound when there is no such lab, IntegrityError when it is not readable."""
    try:
        content = json.loads(path.read_bytes())
        if content.pop("format") != FORMAT:
            raise ValueError("another format")
        return State(**content)
    except FileNotFoundError:
        name = path.parent.name
        raise NotFound(f"there is no lab {name}.", remedy=f"appliance lab up --name {name}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise IntegrityError(
            f"this is no state of a lab: {error}.", where=str(path), remedy="appliance lab down"
        ) from error
