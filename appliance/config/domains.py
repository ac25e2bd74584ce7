"""Whether what the file asks of failure domains can be had at all; where, and with what room, placement says later."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from appliance.config.explain import Path
from appliance.config.parts import Parts
from appliance.config.references import Finding
from appliance.territory.domains import conflict, first_conflict
from appliance.territory.model import Territory
from appliance.territory.placement import possible_copies

VOTERS = (0, 3, 5)


def check_domains(parts: Parts, territory: Territory) -> Iterator[Finding]:
    """A path and a sentence for each standby, number of copies or voter that no placement can make good."""
    for service in parts.services:
        standbys = tuple(_standbys(territory, service.name, service.path))
        yield from standbys or _copies(territory, service.name, service.path)
    yield from _voters(parts, territory)


def _standbys(territory: Territory, name: str, path: Path) -> Iterator[Finding]:
    service = territory.services[name]
    for index, standby in enumerate(service.standbys):
        why = first_conflict(territory, standby, (service.node, *service.standbys[:index]))
        if why:
            yield path, f"its standby {standby} {why}, so one event may take both; name another."


def _copies(territory: Territory, name: str, path: Path) -> Iterator[Finding]:
    service = territory.services[name]
    possible = possible_copies(territory, service)
    if possible < service.copies:
        yield (
            path,
            f"asks for {service.copies} copies, but the zones allow only {possible} in failure domains distinct from "
            f"that of {service.node} and from each other; ask for fewer, or have a node in another zone offer room.",
        )


def _voters(parts: Parts, territory: Territory) -> Iterator[Finding]:
    voters = [node for node in parts.nodes if "voter" in node.part.roles]
    if len(voters) not in VOTERS:
        sentence = f"brings the voters to {len(voters)}; have 3 or 5, or none in a territory without failover."
        yield (*voters[-1].path, "roles"), sentence
    for one, other in combinations(voters, 2):
        why = conflict(territory, other.name, one.name)
        if why:
            yield (*other.path, "roles"), f"{other.name} {why}, so one event may take two votes; choose another voter."
