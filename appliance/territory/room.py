"""The room that each node lends and asks, and what is left of an offer while copies are being placed."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.territory.model import Service, Territory
from appliance.units import format_bytes

type Kept = Mapping[tuple[str, str], int]
"""Bytes by node and service: what a node still holds of a service that is placed there no more."""
NOTHING_KEPT: Kept = {}
NAMED_MAX = 3


class Room:
    """The rest of each node's offer during one attempt at a placement, beside what is `kept` there."""

    def __init__(self, territory: Territory, kept: Kept = NOTHING_KEPT) -> None:
        self._offered = {node.name: node.offered_bytes for node in territory.nodes.values()}
        self._used = dict.fromkeys(territory.nodes, 0)
        self._kept: dict[str, dict[str, int]] = {name: {} for name in territory.nodes}
        for (node, service), size in kept.items():
            self._kept[node][service] = size

    def take(self, node: str, service: Service) -> None:
        """The kept part of `service` there is a part of its copy again."""
        self._used[node] += service.quota_bytes
        self._kept[node].pop(service.name, None)

    def lack(self, node: str, service: Service) -> str:
        """Why `service` does not fit at `node`; "" when it does. The part that it still has there needs no more
        room."""
        offered, size = self._offered[node], service.quota_bytes
        others = {name: kept for name, kept in self._kept[node].items() if name != service.name}
        free = offered - self._used[node] - sum(others.values())
        if not offered:
            return "offers nothing"
        if size <= free:
            return ""
        left = f" and has {format_bytes(max(free, 0))} of it left" if self._used[node] or others else ""
        return f"offers {format_bytes(offered)}{left}{_beside(others)}, needs {format_bytes(size)}"

    def load(self, node: str, size: int = 0) -> float:
        """The part of its offer that `node` uses with `size` more bytes."""
        return (self._used[node] + size) / self._offered[node] if self._offered[node] else 0.0


def _beside(kept: Mapping[str, int]) -> str:
    """The kept replicas that are in the way though they are no longer planned."""
    if not kept:
        return ""
    names = sorted(kept)
    more = f" and {len(names) - NAMED_MAX} more" if names[NAMED_MAX:] else ""
    return f", beside {format_bytes(sum(kept.values()))} that it still holds of {', '.join(names[:NAMED_MAX])}{more}"


def copies_wanted(service: Service) -> int:
    """Every named standby holds a copy, also when fewer copies are asked for."""
    return max(service.copies, len(service.standbys))


def asked_of_others(territory: Territory, node: str) -> int:
    """Bytes that the services of `node` may take at all their holders together."""
    return sum(service.quota_bytes * copies_wanted(service) for service in territory.services_of(node))


def takes_more_than_it_gives(territory: Territory, node: str) -> bool:
    return asked_of_others(territory, node) > territory.nodes[node].offered_bytes
