"""Why each node holds a service, may step in for a holder, or is refused: one sentence for each, never none."""

from __future__ import annotations

from appliance.territory.choice import ranking
from appliance.territory.domains import conflict
from appliance.territory.model import Reason, Service, Territory
from appliance.territory.room import Room, asked_of_others, takes_more_than_it_gives
from appliance.units import format_bytes


def explain(
    territory: Territory, service: Service, room: Room, *, replica_nodes: tuple[str, ...], held: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[Reason, ...]]:
    """The spares in the order in which they step in, and a reason for every node: holders, spares, refused.

    `room` is what is left once everything is placed, `held` the holders of the last plan.
    """
    taken = [Reason(node, True, _why_replica_node(service, node, held, room)) for node in replica_nodes]
    rank = ranking(territory, service, room, replica_nodes)
    spares, refused = [], []
    for node in sorted(set(territory.nodes) - set(replica_nodes)):
        why = refusal(territory, service, room, node, replica_nodes)
        if why:
            refused.append(Reason(node, False, why))
        else:
            conflicts = _conflicts(territory, node, replica_nodes)
            spares.append((len(conflicts), rank(node), Reason(node, True, _why_spare(conflicts))))
    ordered = [reason for _, _, reason in sorted(spares, key=lambda spare: spare[:2])]
    return tuple(reason.node for reason in ordered), (*taken, *ordered, *refused)


def refusal(territory: Territory, service: Service, room: Room, node: str, replica_nodes: tuple[str, ...]) -> str:
    """Why `node` cannot be a spare; "" when it can. One that conflicts with a single holder may replace that one."""
    if node == service.node:
        return _why_not_origin(territory, service)
    conflicts = _conflicts(territory, node, replica_nodes)
    shared = ", ".join(conflicts) if conflicts[1:] else ""
    return conflict(territory, node, service.node) or room.lack(node, service) or shared


def _conflicts(territory: Territory, node: str, replica_nodes: tuple[str, ...]) -> list[str]:
    return [why for holder in replica_nodes if (why := conflict(territory, node, holder))]


def _why_not_origin(territory: Territory, service: Service) -> str:
    never = "is the origin, which never counts"
    if not takes_more_than_it_gives(territory, service.node):
        return never
    asked, offered = asked_of_others(territory, service.node), territory.nodes[service.node].offered_bytes
    return (
        f"{never}; it needs {format_bytes(asked)} of others and offers {format_bytes(offered)}, so its services are "
        "placed after those of nodes that offer as much as they need"
    )


def _why_replica_node(service: Service, node: str, held: tuple[str, ...], room: Room) -> str:
    if node in service.standbys:
        return "is a standby named for the service"
    if node in held:
        return "already holds it"
    return f"shares no failure domain and uses {room.load(node):.0%} of what it offers"


def _why_spare(conflicts: list[str]) -> str:
    return f"is a spare for one replica node only: {conflicts[0]}" if conflicts else "is a spare"
