"""The rules for services of `territory.yml` with an address, so that they can move between nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from appliance.config.explain import Path
from appliance.config.parts import Parts, Placed
from appliance.config.service_schema import ServicePart
from appliance.config.shares import check_moving_shares
from appliance.territory.model import SITES

# Databases and roles of every cluster: PostgreSQL's own, and the one by which it is backed up.
_TAKEN = re.compile(r"postgres|template[01]|appliance|pg_.*")
# One folder of the sites', whose name can stand in the settings of nginx.
_FOLDER = re.compile(re.escape(SITES) + r"/[a-z0-9][a-z0-9._-]*")


def check_served(parts: Parts) -> Iterator[tuple[Path, str]]:
    """A path and a sentence for each mistake."""
    moving = [service for service in parts.services if service.part.address]
    taken = {node.part.mesh: f"the node {node.name}" for node in parts.nodes if node.part.mesh}
    last: dict[str, str] = {}
    for service in moving:
        part, path = service.part, (*service.path, "address")
        if other := taken.get(part.address):
            yield path, f"{part.address} is already the address of {other}."
        taken.setdefault(part.address, f"the service {service.name}")
        number = part.address.rpartition(".")[2]
        if (first := last.setdefault(number, service.name)) != service.name:
            yield (
                path,
                f"ends with {number} like that of {first}, and ports of copies are derived from it; choose another.",
            )
        yield from _sense(service)
    yield from _folders(parts)
    yield from check_moving_shares(parts)
    if moving and not any("voter" in node.part.roles for node in parts.nodes):
        yield (*moving[0].path, "address"), "needs voters, but no node has the role voter."
    if moving and not any(node.part.mesh for node in parts.nodes):
        yield (*moving[0].path, "address"), "is an address in the mesh, but no node has one there."


def _sense(service: Placed[ServicePart]) -> Iterator[tuple[Path, str]]:
    part, path = service.part, service.path
    if part.kind == "postgresql" and not part.share:
        yield from _database(service)
    elif part.kind != "files":
        yield (*path, "address"), f"is for shares, folders and postgresql so far, but the kind is {part.kind}."
    elif not part.share and (len(part.paths) != 1 or not _FOLDER.fullmatch(part.paths[0])):
        sentence = f"must be one folder directly in {SITES}, since the service has an address: a-z, 0-9, ., _ and -."
        yield (*path, "paths"), sentence
    if not part.standbys:
        yield (*path, "address"), "cannot move without a standby; name one."
    if part.key_access == "sealed":
        sentence = (
            "is sealed, but a standby must open a service with an address by itself; make it hot, or remove the "
            "address."
        )
        yield (*path, "key_access"), sentence


def _database(service: Placed[ServicePart]) -> Iterator[tuple[Path, str]]:
    part, path = service.part, service.path
    if part.policy != "exclusive":
        why = "two histories of a database are never merged"
        yield (*path, "policy"), f"is {part.policy}; with an address it must be exclusive, for {why}."
    if _TAKEN.fullmatch(part.database):
        sentence = "is a name that PostgreSQL or the appliance reserves; with an address, choose another."
        yield (*path, "database"), sentence


def _folders(parts: Parts) -> Iterator[tuple[Path, str]]:
    """Where a service may be served its folder is no other service's."""
    first: dict[tuple[str, str], Placed[ServicePart]] = {}
    for service in parts.services:
        part = service.part
        for node in (part.node, *(part.standbys if part.address else ())):
            for folder in part.paths:
                other = first.setdefault((node, folder), service)
                if other is not service and (part.address or other.part.address):
                    sentence = (
                        f"{folder} is the folder of {other.name} at {node}, and one of them can move; name another."
                    )
                    yield (*service.path, "paths"), sentence
