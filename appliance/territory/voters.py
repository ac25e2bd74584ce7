"""Which nodes vote on who holds a service: a pure function of the territory, by the same search that places copies.

Invariant: no two voters share a failure domain, so an event that takes one zone takes one vote. Five survive the loss
of two; three, where the zones do not give five, the loss of one; without three nothing is taken over by itself. Seven
would survive a third loss, at a price for every decision.

Voters that were named in `territory.yml` stay as they are: to change one is a work of its own at a cluster that runs.
Otherwise a plan proposes them. In order of weight: who votes already; the standby of the whole territory, where the
leader is kept; who can be called, since two nodes behind carriers' NAT talk through a relay only; lines that are not
metered; fewer tolerated zones shared; fewer zones with which the node may fall.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from appliance.territory.choice import extend
from appliance.territory.domains import first_conflict, tolerated_zones_shared
from appliance.territory.model import Reason, Territory
from appliance.territory.quorum import VOTER, majority
from appliance.territory.survival import losses

STANDBY = "standby"
COUNTS = (5, 3)


@dataclass(frozen=True)
class Voters:
    """`nodes`, where the leader is kept first; none when there are too few. One reason for each node of the territory.

    `named`: the territory names them; otherwise this is a proposal. `lost_by`: events that take the majority.
    """

    nodes: tuple[str, ...]
    named: bool
    reasons: tuple[Reason, ...]
    lost_by: tuple[str, ...] = ()

    @property
    def losses_survived(self) -> int:
        return max(0, (len(self.nodes) - 1) // 2)


def voters(territory: Territory, previous: Collection[str] = ()) -> Voters:
    """The voters of `territory`, `previous` being those of the last plan."""
    named = [node.name for node in territory.nodes.values() if VOTER in node.roles]

    def order(chosen: tuple[str, ...]) -> Callable[[str], tuple[float | str, ...]]:
        near = tolerated_zones_shared(territory, chosen)
        return lambda node: _rank(territory, node, near(node), previous)

    if named:
        nodes = tuple(sorted(named, key=order(())))
    else:
        most = extend(territory, (), list(territory.nodes), max(COUNTS), order)
        nodes = most[: next((count for count in COUNTS if count <= len(most)), 0)]
    reasons = tuple(_reason(territory, node, nodes, previous) for node in (*nodes, *_others(territory, nodes)))
    return Voters(nodes, bool(named), reasons, _lost_by(territory, nodes))


def _rank(territory: Territory, node: str, near: int, previous: Collection[str]) -> tuple[float | str, ...]:
    """The sort key of a candidate, the best first; `near` counts the tolerated zones shared with those chosen."""
    found = territory.nodes[node]
    return (
        node not in previous,
        STANDBY not in found.roles,
        _is_hidden(territory, node),
        territory.links[found.uplink].metered,
        near,
        sum(not territory.zones[zone].tolerated for zone in territory.zones_of(node)),
        node,
    )


def _is_hidden(territory: Territory, node: str) -> bool:
    return bool(territory.nodes[node].mesh) and not territory.nodes[node].mesh_port


def _others(territory: Territory, nodes: tuple[str, ...]) -> list[str]:
    return sorted(set(territory.nodes) - set(nodes))


def _reason(territory: Territory, node: str, nodes: tuple[str, ...], previous: Collection[str]) -> Reason:
    if node in nodes:
        return Reason(node, True, _why_voter(territory, node, previous))
    if not nodes:
        return Reason(node, False, f"would need {min(COUNTS) - 1} others in distinct failure domains")
    conflict = first_conflict(territory, node, nodes)
    return Reason(node, False, conflict or f"is not needed: there are {len(nodes)} voters")


def _why_voter(territory: Territory, node: str, previous: Collection[str]) -> str:
    found = territory.nodes[node]
    if VOTER in found.roles:
        return "is named a voter"
    if node in previous:
        return "votes already"
    if STANDBY in found.roles:
        return "is the standby, the preferred leader"
    return "shares no failure domain with another voter"


def _lost_by(territory: Territory, nodes: tuple[str, ...]) -> tuple[str, ...]:
    """The events that leave too few voters; the loss of everything is none that anybody asks about."""
    needed = majority(len(nodes))
    return tuple(
        loss.event
        for loss in losses(territory)
        if nodes
        and loss.kind not in ("territory", "control")
        and len(loss.nodes.intersection(nodes)) > len(nodes) - needed
    )
