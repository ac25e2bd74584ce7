"""Who lends how much, who asks how much, and what is left of an offer while copies are being placed."""

from __future__ import annotations

from appliance.territory.model import Service, Territory
from appliance.units import format_bytes


class Room:
    """What is left of each node's offer during one attempt at a placement."""

    def __init__(self, territory: Territory) -> None:
        self._offered = {node.name: node.offered_bytes for node in territory.nodes.values()}
        self._used = dict.fromkeys(territory.nodes, 0)

    def take(self, node: str, size: int) -> None:
        self._used[node] += size

    def lack(self, node: str, size: int) -> str:
        """Why `size` more bytes do not fit at `node`; "" when they do."""
        offered, free = self._offered[node], self._offered[node] - self._used[node]
        if not offered:
            return "offers nothing"
        if size <= free:
            return ""
        left = f" and has {format_bytes(max(free, 0))} of it left" if self._used[node] else ""
        return f"offers {format_bytes(offered)}{left}, needs {format_bytes(size)}"

    def load(self, node: str, size: int = 0) -> float:
        """The part of its offer that `node` uses with `size` more bytes."""
        return (self._used[node] + size) / self._offered[node] if self._offered[node] else 0.0


def copies_wanted(service: Service) -> int:
    """Every named standby holds a copy, also when fewer copies are asked for."""
    return max(service.copies, len(service.standbys))


def asked_of_others(territory: Territory, node: str) -> int:
    """Bytes that the services of `node` may take at all their holders together."""
    return sum(service.quota_bytes * copies_wanted(service) for service in territory.services_of(node))


def takes_more_than_it_gives(territory: Territory, node: str) -> bool:
    return asked_of_others(territory, node) > territory.nodes[node].offered_bytes
