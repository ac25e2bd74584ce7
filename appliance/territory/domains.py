"""Failure domains: who may be lost together. Two nodes are distinct when they share no site and no strict zone."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from appliance.territory.model import Territory


def shared_zones(territory: Territory, one: str, other: str, *, tolerated: bool = False) -> tuple[str, ...]:
    """Names, sorted, of the zones that both nodes lie in: the strict ones, or with `tolerated` the others."""
    both = territory.zones_of(one) & territory.zones_of(other)
    return tuple(sorted(name for name in both if territory.zones[name].tolerated is tolerated))


def conflict(territory: Territory, one: str, other: str) -> str:
    """Why two nodes cannot count as two: "shares zone flood-aisne with attichy" said of `one`; "" when they can."""
    if one == other:
        return f"is {other} itself"
    zones = shared_zones(territory, one, other)
    if zones:
        return f"shares zone{'s' if zones[1:] else ''} {' and '.join(zones)} with {other}"
    if territory.nodes[one].site == territory.nodes[other].site:
        return f"is at the same site as {other}"
    return ""


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
