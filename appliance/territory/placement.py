"""Where the copies of each service go: a pure function of the territory and of where they are now.

Invariant: the replica nodes of a service are in failure domains distinct from its origin's and from each other's, and
no node holds more than it offers. In order of weight:

1. standbys named for the service hold the first copies, and their room is set aside before anything else is placed;
2. a copy stays where it is while that is valid: nothing moves because a node joined or somebody has more room;
3. services whose origin offers others at least what it asks of them are placed before those whose origin does not, so
   that when room is short it is short for the node that gives less (reciprocity);
4. among valid nodes: a spare that the last plan named, then fewer tolerated zones shared, then the node that would use
   the smallest part of what it offers. So a node that lends more is given more.

Weighted rendezvous hashing would need no memory of the last plan, but nobody at a town hall could check its reasons.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from appliance.errors import Refused
from appliance.territory.choice import choose_replica_nodes, extend
from appliance.territory.domains import first_conflict
from appliance.territory.model import Placement, Reason, Service, Territory
from appliance.territory.reasons import explain, refusal
from appliance.territory.room import NOTHING_KEPT, Kept, Room, copies_wanted, takes_more_than_it_gives


class Infeasible(Refused):
    """No valid placement; `reasons` says of each node that matters why it cannot hold a copy of `service`."""

    def __init__(self, service: str, what: str, reasons: tuple[Reason, ...]) -> None:
        lines = "".join(f"\n  {reason.node}: {reason.why}" for reason in reasons)
        super().__init__(
            f"{what} Offer more space, declare a smaller quota, name another standby or ask for fewer copies.{lines}",
            where=service,
        )
        self.service = service
        self.reasons = reasons


def place(
    territory: Territory, previous: Mapping[str, Placement] | None = None, kept: Kept = NOTHING_KEPT
) -> Mapping[str, Placement]:
    """The placement of every service, `previous` being where copies are now; raise Infeasible when there is none.

    `kept` is what nodes still hold of what is placed there no more: that room is taken.

    A service that finds too little room goes first in the next attempt: a copy that may stand elsewhere makes way.
    """
    before = previous or {}
    order = _order(territory, before)
    failures = []
    for _ in range(len(order) + 1):
        room = Room(territory, kept)
        _reserve_standbys(territory, room)
        replica_nodes, stuck = _assign(territory, order, before, room)
        if not stuck:
            return _explained(territory, replica_nodes, before, room)
        failures.append(_infeasible(territory, territory.services[stuck], len(replica_nodes[stuck]), room))
        if stuck == order[0]:
            raise failures[-1]
        order = [stuck, *(name for name in order if name != stuck)]
    # Together they do not fit: the first attempt was in the order of reciprocity, and so is the blame.
    raise failures[0]


def replacements(territory: Territory, placement: Placement, lost: Collection[str]) -> tuple[str, ...]:
    """The spares, in order, that may stand in when the nodes `lost` are gone: each distinct from every holder left."""
    left = [node for node in placement.holders if node not in lost]
    return tuple(node for node in placement.spares if node not in lost and not first_conflict(territory, node, left))


def possible_copies(territory: Territory, service: Service) -> int:
    """How many of the copies asked for find a failure domain of their own, if every node that offers had room."""
    conflicting = territory.conflicting(service.node)
    able = [it.name for it in territory.nodes.values() if it.offered_bytes and it.name not in conflicting]
    return len(extend(territory, service.standbys, able, copies_wanted(service), lambda _: lambda node: (node,)))


def _order(territory: Territory, before: Mapping[str, Placement]) -> list[str]:
    """Placed services keep their places; then who gives as much as it asks; large ones first, as they fit worst."""

    def key(service: Service) -> tuple[bool, bool, int, str]:
        late = takes_more_than_it_gives(territory, service.node)
        return service.name not in before, late, -service.quota_bytes, service.name

    return [service.name for service in sorted(territory.services.values(), key=key)]


def _reserve_standbys(territory: Territory, room: Room) -> None:
    for _, service in sorted(territory.services.items()):
        for index, node in enumerate(service.standbys):
            others = (service.node, *service.standbys[:index])
            why = first_conflict(territory, node, others) or room.lack(node, service)
            if why:
                refused = (Reason(node, False, why),)
                raise Infeasible(service.name, f"its standby {node} cannot hold a copy.", refused)
            room.take(node, service)


def _assign(
    territory: Territory, order: list[str], before: Mapping[str, Placement], room: Room
) -> tuple[dict[str, tuple[str, ...]], str]:
    """Holders of each service in `order` up to the first that gets too few, and the name of that one or ""."""
    replica_nodes: dict[str, tuple[str, ...]] = {}
    for name in order:
        service = territory.services[name]
        last = before.get(name, Placement(name, ()))
        replica_nodes[name] = choose_replica_nodes(territory, service, room, held=last.holders, spares=last.spares)
        if len(replica_nodes[name]) < copies_wanted(service):
            return replica_nodes, name
        for node in replica_nodes[name][len(service.standbys) :]:
            room.take(node, service)
    return replica_nodes, ""


def _explained(
    territory: Territory, replica_nodes: Mapping[str, tuple[str, ...]], before: Mapping[str, Placement], room: Room
) -> dict[str, Placement]:
    placements = {}
    for name, chosen in sorted(replica_nodes.items()):
        held = before[name].holders if name in before else ()
        spares, reasons = explain(territory, territory.services[name], room, replica_nodes=chosen, held=held)
        placements[name] = Placement(name, chosen, spares, reasons)
    return placements


def _infeasible(territory: Territory, service: Service, found: int, room: Room) -> Infeasible:
    reasons = []
    for node in sorted(territory.nodes):
        why = refusal(territory, service, room, node, ())
        reasons.append(Reason(node, not why, why or "could hold one, but not together with enough others"))
    what = f"{copies_wanted(service)} copies are requested, only {found} can be placed."
    return Infeasible(service.name, what, tuple(reasons))
