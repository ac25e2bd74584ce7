"""Services that left the territory and are still cared for, and nodes that held one.

The signer adds both by comparing a plan with the bundle before it. They lie apart from the territory: a version that
does not know the field reads the bundle as ever, and keeps all that it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from appliance.clock import utc_seconds
from appliance.errors import IntegrityError
from appliance.territory import codec
from appliance.territory.model import NAME, Placement, Service


@dataclass(frozen=True)
class FormerService:
    """`service`, `holders` and `spares` as signed last; bundle `serial`, of the UTC time `since`, was the first one
    without it."""

    service: Service
    holders: tuple[str, ...]
    spares: tuple[str, ...]
    serial: int
    since: str

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def trusted(self) -> tuple[str, ...]:
        """The nodes that may know its key."""
        return (self.service.node, *self.service.standbys)

    @property
    def placement(self) -> Placement:
        return Placement(self.name, self.holders, self.spares)

    @property
    def told(self) -> str:
        return f"left the territory in bundle {self.serial}"


@dataclass(frozen=True)
class FormerReplicaNode:
    """`node` holds copies of `service` no more since bundle `serial`, of the UTC time `since`. Until it has given up
    what it has, that may fill `quota_bytes`: 0 of one that was no more than a spare, and may have stood in."""

    service: str
    node: str
    quota_bytes: int
    serial: int
    since: str

    @property
    def was_spare(self) -> bool:
        return not self.quota_bytes

    @property
    def told(self) -> str:
        return f"is held elsewhere since bundle {self.serial}"

    @property
    def goes(self) -> str:
        """`told`, and when this node gives up what it has."""
        return (
            f"{self.told}; the copy here is deleted once the others have proved for one retention lock that they "
            "have it"
        )


@dataclass(frozen=True)
class Former:
    services: Mapping[str, FormerService] = field(default_factory=dict)
    holders: tuple[FormerReplicaNode, ...] = ()

    def ceased(self, service: str, node: str) -> FormerReplicaNode | None:
        """The entry of `node` if it held `service`, which is in the plan still, in an earlier bundle only."""
        return next((it for it in self.holders if (it.service, it.node) == (service, node)), None)


NOBODY = Former()


def to_json(former: Former) -> dict[str, Any]:
    """The field of a bundle; none where nothing left, so that such a bundle is the same as it always was."""
    return {"former": codec.plain(former)} if former != NOBODY else {}


def from_json(fields: Mapping[str, Any], called: Mapping[str, str] | None = None) -> Former:
    """The inverse of `to_json`, with what services were `called` last; raise IntegrityError for anything else."""
    if "former" not in fields:
        return NOBODY
    former: Former = codec.thing(Former, fields["former"], "former")
    for left in former.services.values():
        _check(left.since, left.name, *left.trusted, *left.holders)
    for holder in former.holders:
        _check(holder.since, holder.service, holder.node)
    names = called or {}
    services = {
        name: replace(it, service=replace(it.service, called=names.get(name, "")))
        for name, it in former.services.items()
    }
    return replace(former, services=services)


def _check(since: str, *names: str) -> None:
    """Names become folders, and times are compared."""
    if bad := [name for name in names if not NAME.fullmatch(name)]:
        raise IntegrityError(f'former: "{bad[0]}" is not a name.')
    try:
        utc_seconds(since)
    except ValueError as error:
        raise IntegrityError(f"former: {error}.") from error
