"""The moves of a new plan, shown before anything moves: copies to seed with their hours, and copies given up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.territory.model import Placement, Territory


@dataclass(frozen=True)
class Move:
    """`node` begins (`seeds`) or ceases to hold `service`; `seconds`: what the origin's uplink takes for `size_bytes`.

    A peer that ceases keeps what it has until the others have held something newer for a whole lock.
    """

    service: str
    node: str
    seeds: bool
    size_bytes: int = 0
    seconds: float = 0.0
    left: bool = False
    """Whether the service itself leaves the territory."""


def changes(territory: Territory, before: Mapping[str, Placement], after: Mapping[str, Placement]) -> tuple[Move, ...]:
    """The moves from `before` to `after`, by service; of each the seeding first, as a copy is given up only then."""
    moves: list[Move] = []
    for name in sorted({*before, *after}):
        old = before[name].holders if name in before else ()
        new = after[name].holders if name in after else ()
        moves += [_seeding(territory, name, node) for node in new if node not in old]
        moves += [Move(name, node, seeds=False, left=name not in after) for node in old if node not in new]
    return tuple(moves)


def _seeding(territory: Territory, service: str, node: str) -> Move:
    size = territory.services[service].size_bytes
    link = territory.links[territory.nodes[territory.services[service].node].uplink]
    return Move(service, node, seeds=True, size_bytes=size, seconds=size * 8 / link.up_bits_per_second)
