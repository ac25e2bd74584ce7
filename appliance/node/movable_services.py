"""The movable services, and which of them may be served at this host: root's file, written from the signed bundle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import IntegrityError
from appliance.programs import privileged

FILE = Path(privileged.SERVED)
_SAID = ("form", "address", "port", "folder", "unit", "copy", "here")


@dataclass(frozen=True)
class MovableService:
    """A service that moves between hosts, as root's file says.

    `unit` serves it and `copy`, "" for none, shows what a standby has of it. `here`: whether this node may serve it;
    `nodes`: who may. At `local_port` of loopback, unless that is 0, it answers before its address is here.
    """

    form: str
    address: str
    port: int
    folder: str
    unit: str
    copy: str
    here: bool
    nodes: frozenset[str]
    local_port: int = 0


def read_movable(path: Path = FILE) -> dict[str, MovableService]:
    """The services with an address; none on a host that nobody told of any. Raise IntegrityError for what is none."""
    try:
        found = json.loads(path.read_bytes())["services"]
        return {
            name: MovableService(
                **{field: it[field] for field in _SAID},
                nodes=frozenset(it["nodes"]),
                local_port=it.get("local_port", 0),
            )
            for name, it in found.items()
        }
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        remedy = "Write it again: `appliance internal node apply --part failover`."
        raise IntegrityError("it does not list the services to serve.", where=str(path), remedy=remedy) from error
