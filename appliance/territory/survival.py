"""Which service outlives which event: proved for the declared events and for those that need no declaration.

A service survives when its origin is untouched or a copy is left. That is about the data; how soon it is served again
depends on who can open what is left, which each verdict also says. Copies at external peers and on offline disks can be
named, and nothing writes to them yet: a verdict says what they would be worth, and counts none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from appliance.territory.model import Placement, Service, Territory
from appliance.units import format_duration

KINDS = ("declared", "zone", "site", "node", "pair", "territory", "control")
PAPER = "the recovery key"


@dataclass(frozen=True)
class Loss:
    """An event as the nodes and sites that it takes. `kind` is one of KINDS."""

    event: str
    kind: str
    nodes: frozenset[str]
    sites: frozenset[str] = frozenset()
    warning_seconds: int = 0


@dataclass(frozen=True)
class Verdict:
    """The copies of `service` that `event` leaves: `where` names each beside the origin, `opened_by` the nodes that can
    read it.

    `planned` are copies that would be left too, once something writes them; `survives` does not count them.
    """

    event: str
    kind: str
    service: str
    survives: bool
    where: tuple[str, ...]
    opened_by: tuple[str, ...]
    why: str
    planned: tuple[str, ...] = ()
    survives_as_planned: bool = True

    @property
    def copies_left(self) -> int:
        return len(self.where)


def prove(territory: Territory, placements: Mapping[str, Placement]) -> Iterator[Verdict]:
    """A verdict for each event and service, events in the order of KINDS, services by name: 27 million for 300 towns.
    `outcomes.py` counts the same without making them."""
    for loss in losses(territory):
        for name in sorted(territory.services):
            yield judge(territory, territory.services[name], placements[name], loss)


def losses(territory: Territory) -> tuple[Loss, ...]:
    """The declared events, then each zone, site with several nodes, node and pair of nodes lost, then everything."""
    everything = frozenset(territory.nodes)
    sites = frozenset(territory.sites)
    nodes = sorted(territory.nodes)
    return (
        *(_declared(territory, name) for name in sorted(territory.events)),
        *(_zone(territory, name) for name in sorted(territory.zones)),
        *(loss for name in sorted(territory.sites) if len((loss := _site(territory, name)).nodes) > 1),
        *(Loss(f"node {name} lost", "node", frozenset((name,))) for name in nodes),
        *(Loss(f"nodes {a} and {b} lost", "pair", frozenset((a, b))) for a, b in combinations(nodes, 2)),
        Loss("the whole territory lost", "territory", everything, sites),
        Loss("control machine compromised", "control", everything),
    )


def judge(territory: Territory, service: Service, placement: Placement, loss: Loss) -> Verdict:
    """Return what `loss` leaves of one service."""
    origin_left = service.node not in loss.nodes
    where = tuple(node for node in placement.holders if node not in loss.nodes)
    planned = _planned_left(territory, service, loss)
    survives = origin_left or bool(where)
    openers = _openers(service, loss) if survives else ()
    why = _why(territory, service, loss, where, planned, openers)
    return Verdict(
        loss.event, loss.kind, service.name, survives, where, openers, why, planned, survives or bool(planned)
    )


def planned_only(territory: Territory) -> tuple[str, ...]:
    """The external peers and offline disks that a service names for a copy: nothing writes to them yet."""
    return tuple(sorted({name for it in territory.services.values() for name in (*it.external, *it.offline)}))


def _declared(territory: Territory, name: str) -> Loss:
    event = territory.events[name]
    nodes = territory.nodes_in(event.zones) | frozenset(event.nodes)
    warnings = [territory.zones[zone].warning_seconds for zone in event.zones]
    return Loss(name, "declared", nodes, _sites_in(territory, event.zones), min(warnings, default=0))


def _zone(territory: Territory, name: str) -> Loss:
    warning = territory.zones[name].warning_seconds
    return Loss(f"zone {name} lost", "zone", territory.nodes_in((name,)), _sites_in(territory, (name,)), warning)


def _site(territory: Territory, name: str) -> Loss:
    nodes = frozenset(node.name for node in territory.nodes.values() if node.site == name)
    return Loss(f"site {name} lost", "site", nodes, frozenset((name,)))


def _sites_in(territory: Territory, zones: tuple[str, ...]) -> frozenset[str]:
    return frozenset(site.name for site in territory.sites.values() if not set(zones).isdisjoint(site.zones))


def _planned_left(territory: Territory, service: Service, loss: Loss) -> tuple[str, ...]:
    """External peers out of reach, disks that are not plugged in and not where the event strikes."""
    external = [
        name for name in service.external if loss.kind != "control" or not territory.external[name].territory_can_log_in
    ]
    offline = [name for name in service.offline if territory.offline[name].kept_at not in loss.sites]
    return (*external, *offline)


def _openers(service: Service, loss: Loss) -> tuple[str, ...]:
    """Return the nodes and people that can open what is left, in the order in which one would ask them."""
    origin = () if service.node in loss.nodes else (service.node,)
    how = " by a person there" if service.key_access == "sealed" else ""
    standbys = tuple(f"{node}{how}" for node in service.standbys if node not in loss.nodes)
    return (*origin, *standbys) or (PAPER,)


def _why(
    territory: Territory,
    service: Service,
    loss: Loss,
    where: tuple[str, ...],
    planned: tuple[str, ...],
    openers: tuple[str, ...],
) -> str:
    if service.node not in loss.nodes:
        if where:
            return f"{service.node} continues; copies at {_joined(where)}."
        return f"{service.node} continues, but no other copy is left: seed a spare at once."
    hit = "compromised" if loss.kind == "control" else "lost"
    if not where:
        left = _listed(territory, planned) or "an external peer or an offline disk"
        return f"{service.node} and every copy are {hit}; {left} would be left, but nothing writes there yet."
    warned = f" Announced {format_duration(loss.warning_seconds)} ahead: move it first." if loss.warning_seconds else ""
    return f"{service.node} is {hit}; copies at {_joined(where)}, opened by {_joined(openers)}.{warned}"


def _listed(territory: Territory, where: tuple[str, ...]) -> str:
    return _joined(tuple(f"{name}{_age(territory, name)}" for name in where)) if where else ""


def _age(territory: Territory, name: str) -> str:
    disk = territory.offline.get(name)
    return f" (up to {format_duration(disk.every_seconds)} old)" if disk else ""


def _joined(names: tuple[str, ...]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if names[1:] else names[0]
