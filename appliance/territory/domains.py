"""Failure domains: who may be lost together. Two nodes are distinct when they share no site and no strict zone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import combinations

from appliance.territory.model import Territory


def tolerated_zones_shared(territory: Territory, others: Iterable[str]) -> Callable[[str], int]:
    """A function of a node: how many tolerated zones it shares with each of `others`, added up."""
    of_others = Counter(zone for other in others for zone in territory.zones_of(other))
    tolerated = {zone: count for zone, count in of_others.items() if territory.zones[zone].tolerated}
    return lambda node: sum(tolerated.get(zone, 0) for zone in territory.zones_of(node))


def conflict(territory: Territory, one: str, other: str) -> str:
    """Why two nodes cannot count as two: "shares zone flood-aisne with attichy" said of `one`; "" when they can."""
    if one == other:
        return f"is {other} itself"
    if other not in territory.conflicting(one):
        return ""
    both = territory.zones_of(one) & territory.zones_of(other)
    zones = sorted(name for name in both if not territory.zones[name].tolerated)
    if zones:
        return f"shares zone{'s' if zones[1:] else ''} {' and '.join(zones)} with {other}"
    return f"is at the same site as {other}"


def first_conflict(territory: Territory, node: str, others: Iterable[str]) -> str:
    """The first conflict of `node` with one of `others`; "" when it is distinct from all."""
    return next((why for other in others if (why := conflict(territory, node, other))), "")


def counting_replica_nodes(territory: Territory, writer: str, acknowledged: Iterable[str]) -> tuple[str, ...]:
    """The most of `acknowledged` that count as copies while `writer` writes: distinct from it and from each other.

    After a takeover the writer is another node than the origin, so that a holder which counted may count no more.
    """
    able = [node for node in acknowledged if not conflict(territory, node, writer)]
    for count in range(len(able), 0, -1):
        for nodes in combinations(able, count):
            if not any(conflict(territory, one, other) for one, other in combinations(nodes, 2)):
                return nodes
    return ()
