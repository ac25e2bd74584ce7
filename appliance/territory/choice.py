"""The holders of one service, chosen among the nodes that may hold it; `placement` says which rules and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from itertools import combinations

from appliance.territory.domains import conflict, tolerated_zones_shared
from appliance.territory.model import Service, Territory
from appliance.territory.room import Room, copies_wanted

type Order = Callable[[tuple[str, ...]], Callable[[str], tuple[float | str, ...]]]
"""The sort key of a node beside the nodes chosen so far; what those have in common with it is counted once."""


def choose_replica_nodes(
    territory: Territory, service: Service, room: Room, *, held: tuple[str, ...], spares: tuple[str, ...]
) -> tuple[str, ...]:
    """Standbys, then as many of `held` as a whole set allows, then the best of the rest; too few when none is whole.

    The room of the standbys is already set aside.
    """
    wanted = copies_wanted(service)
    valid = [node for node in held if node not in service.standbys and allowed(territory, service, node, room)]
    best: tuple[str, ...] = service.standbys
    for kept in _subsets(valid, wanted - len(service.standbys)):
        chosen = (*service.standbys, *kept)
        if any(conflict(territory, one, other) for one, other in combinations(chosen, 2)):
            continue
        best = max(best, complete(territory, service, room, chosen, spares), key=len)
        if len(best) >= wanted:
            break
    return best


def complete(
    territory: Territory, service: Service, room: Room, chosen: tuple[str, ...], spares: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """`chosen` and the best nodes that make it whole, named `spares` before others; the longest set when none does."""
    named = {node: index for index, node in enumerate(spares)}

    def order(beside: tuple[str, ...]) -> Callable[[str], tuple[float | str, ...]]:
        rank = ranking(territory, service, room, beside)
        return lambda node: (named.get(node, len(spares)), *rank(node))

    able = [node for node in territory.nodes if allowed(territory, service, node, room)]
    return extend(territory, chosen, able, copies_wanted(service), order)


def extend(
    territory: Territory, chosen: tuple[str, ...], able: Collection[str], wanted: int, order: Order
) -> tuple[str, ...]:
    """`chosen` and those of `able` that make `wanted` nodes in distinct failure domains; the most when so many are not
    to be had. Among several sets it is the one whose nodes come first by `order`."""
    if len(chosen) >= wanted:
        return chosen
    excluded = frozenset[str]().union(*map(territory.conflicting, chosen))
    left = sorted((node for node in able if node not in excluded), key=order(chosen))
    best = chosen
    while left and len(best) < wanted:
        best = max(best, extend(territory, (*chosen, left[0]), left, wanted, order), key=len)
        # All sets with it have been looked at; a node that conflicts with the same nodes makes no longer one.
        tried = territory.conflicting(left[0])
        left = [node for node in left if territory.conflicting(node) != tried]
    return best


def allowed(territory: Territory, service: Service, node: str, room: Room) -> bool:
    """Whether `node` exists, is distinct from the origin and has the room."""
    known = node in territory.nodes
    return known and not conflict(territory, node, service.node) and not room.lack(node, service)


def ranking(
    territory: Territory, service: Service, room: Room, chosen: tuple[str, ...]
) -> Callable[[str], tuple[int, float, str]]:
    """The sort key of a valid node, best first: tolerated zones shared, part of its offer it would use, name."""
    near = tolerated_zones_shared(territory, (service.node, *chosen))
    return lambda node: (near(node), room.load(node, service.quota_bytes), node)


def _subsets(nodes: list[str], most: int) -> Iterator[tuple[str, ...]]:
    for count in range(min(len(nodes), most), -1, -1):
        yield from combinations(nodes, count)
