"""Whether what the file asks of failure domains can be had at all; where, and with what room, placement says later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from appliance.config.explain import Path
from appliance.config.parts import Parts, Placed
from appliance.config.references import Finding
from appliance.config.service_schema import ServicePart
from appliance.territory.domains import conflict, first_conflict
from appliance.territory.model import Territory
from appliance.territory.placement import possible_copies

VOTERS = (0, 3, 5)


def check_domains(parts: Parts, territory: Territory) -> Iterator[Finding]:
    """A path and a sentence for each standby, number of copies or voter that no placement can make good."""
    sound = []
    for service in parts.services:
        standbys = tuple(_standbys(territory, service.name, service.path))
        yield from standbys
        if not standbys:
            sound.append(service)
    yield from _copies(territory, sound)
    yield from _voters(parts, territory)


def _standbys(territory: Territory, name: str, path: Path) -> Iterator[Finding]:
    service = territory.services[name]
    for index, standby in enumerate(service.standbys):
        why = first_conflict(territory, standby, (service.node, *service.standbys[:index]))
        if why:
            sentence = f"{standby} {why}, so one event may take both; name another."
            yield (*path, "standbys", index), sentence


def _copies(territory: Territory, services: Iterable[Placed[ServicePart]]) -> Iterator[Finding]:
    """The service that can have the fewest goes first: where one line asks for many, its number is the one to type."""
    possible = [(possible_copies(territory, territory.services[it.name]), it) for it in services]
    for most, it in sorted(possible, key=lambda pair: pair[0]):
        if most < it.part.copies:
            fewer = f"ask for {most} at most, or " if most else ""
            yield (
                (*it.path, "copies"),
                f"is {it.part.copies}, but the zones allow only {most} in failure domains distinct from that of "
                f"{it.part.node} and from each other; {fewer}let a node in another zone offer space.",
            )


def _voters(parts: Parts, territory: Territory) -> Iterator[Finding]:
    voters = [node for node in parts.nodes if "voter" in node.part.roles]
    if len(voters) not in VOTERS:
        sentence = f"makes {len(voters)} voters; name 3 or 5, or none in a territory without failover."
        yield (*voters[-1].path, "roles"), sentence
    for one, other in combinations(voters, 2):
        why = conflict(territory, other.name, one.name)
        if why:
            yield (*other.path, "roles"), f"{other.name} {why}, so one event may take two votes; choose another voter."
