"""The checks of references between the parts of `territory.yml`: unknown names, things named twice, contradictions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from appliance.config.addresses import check_served
from appliance.config.duty import check_duty
from appliance.config.explain import Path, unknown
from appliance.config.parts import Parts, Placed
from appliance.config.schema import NodePart, PersonPart
from appliance.config.service_schema import ServicePart
from appliance.config.shares import check_shares
from appliance.territory.implicit import PREFIX, implicit_name
from appliance.territory.model import NAME
from appliance.trust.act import ANY_SERVICE
from appliance.units import DAY, format_bytes, format_duration

Finding = tuple[Path, str]
OUTSIDE = "outside"
# Each node backs itself up as its own `appliance` service; an act about ANY_SERVICE means all of them.
RESERVED = ("appliance", ANY_SERVICE)


def check_references(parts: Parts) -> Iterator[Finding]:
    """A path and a sentence for each mistake."""
    if not parts.names["nodes"]:
        yield ("sites",), "describes no node."
    yield from _sites(parts)
    yield from _nodes(parts)
    yield from _earlier_names(parts)
    for service in parts.services:
        yield from _service_references(parts, service)
        yield from _service_sense(service)
    yield from check_shares(parts)
    yield from check_duty(parts)
    yield from check_served(parts)
    yield from _people(parts)
    yield from _outside(parts)
    yield from _events(parts)


def _earlier_names(parts: Parts) -> Iterator[Finding]:
    renamed = [(it.part.was, (*it.path, "was")) for it in parts.services if it.part.was]
    for was, path in renamed:
        if was in parts.names["services"]:
            yield path, f'"{was}" is also in this file; a renamed service has one entry.'
        elif was in RESERVED or was.startswith(PREFIX):
            yield path, f'"{was}" is not a possible name of a service.'
    yield from _twice(renamed, lambda was, first: f'"{was}" is already the former name of services > {first[1]}.')


def _names(values: Collection[str], known: Collection[str], path: Path) -> Iterator[Finding]:
    for index, value in enumerate(values):
        if value not in known:
            yield (*path, index), unknown(value, known)


def _name(value: str, known: Collection[str], path: Path) -> Iterator[Finding]:
    if value not in known:
        yield path, unknown(value, known)


def _twice[Thing](things: Iterable[tuple[Thing, Path]], sentence: Callable[[Thing, Path], str]) -> Iterator[Finding]:
    """A finding for each thing that stood at an earlier path already."""
    first: dict[Thing, Path] = {}
    for thing, path in things:
        if thing in first:
            yield path, sentence(thing, first[thing])
        first.setdefault(thing, path)


def _sites(parts: Parts) -> Iterator[Finding]:
    for site in parts.sites:
        yield from _names(site.part.zones, parts.names["zones"], (*site.path, "zones"))


def _nodes(parts: Parts) -> Iterator[Finding]:
    for node in parts.nodes:
        yield from _names(node.part.zones, parts.names["zones"], (*node.path, "zones"))
        yield from _name(node.part.uplink, parts.names["links"], (*node.path, "uplink"))
        if node.part.fallback:
            yield from _name(node.part.fallback, parts.names["links"], (*node.path, "fallback"))
        yield from _offer(node)
        if not NAME.fullmatch(implicit_name(node.name)):
            yield (*node.path, "name"), f"is too long: the node's own service is called {implicit_name(node.name)}."
    yield from _twice(
        ((node.name, (*node.path, "name")) for node in parts.nodes),
        lambda name, first: f'"{name}" is already the name of a node at {first[1]}.',
    )
    yield from _mesh(parts)
    yield from _twice(
        (((node.part.address, node.part.port), (*node.path, "address")) for node in parts.nodes),
        lambda at, first: f"{at[0]} port {at[1]} is already the address of a node at {first[1]}; give each its own.",
    )


def _mesh(parts: Parts) -> Iterator[Finding]:
    inside = [node for node in parts.nodes if node.part.mesh]
    yield from _twice(
        ((node.part.mesh, (*node.path, "mesh")) for node in inside),
        lambda at, first: f"{at} is already the mesh address of a node at {first[1]}.",
    )
    if inside and not any(node.part.mesh_port for node in inside):
        yield (
            (*inside[0].path, "mesh_port"),
            "is 0 at every node, so no node could start a connection. At least one node must be reachable.",
        )
    if inside:
        for node in parts.nodes:
            if not node.part.mesh:
                yield (
                    node.path,
                    f'lacks "mesh", an address such as {inside[0].part.mesh}: either all nodes have one, or none.',
                )


def _offer(node: Placed[NodePart]) -> Iterator[Finding]:
    offered, disk = node.part.offered, node.part.disk
    if offered > disk:
        what = f"offers {format_bytes(offered)} of a disk of {format_bytes(disk)}; offer less, or correct the disk."
        yield (*node.path, "offered"), what


def _service_references(parts: Parts, service: Placed[ServicePart]) -> Iterator[Finding]:
    part, path = service.part, service.path
    yield from _name(part.node, parts.names["nodes"], (*path, "node"))
    yield from _names(part.standbys, parts.names["nodes"], (*path, "standbys"))
    yield from _names(part.external, parts.names["external"], (*path, "external"))
    yield from _names(part.offline, parts.names["offline"], (*path, "offline"))


def _schedule_and_age(part: ServicePart, path: Path) -> Iterator[Finding]:
    """A backup that comes less often than its newest one may be old would be told as late between any two."""
    schedule = part.schedule
    interval = schedule.span_seconds or DAY
    if interval > part.rpo:
        how_often = f"once a day at {schedule}" if schedule.daily_at else str(schedule)
        what = f"is {how_often}, but the rpo allows an age of at most {format_duration(part.rpo)}"
        yield (*path, "schedule"), f"{what}; back it up more often, or set rpo to {format_duration(interval)} or more."


def _service_sense(service: Placed[ServicePart]) -> Iterator[Finding]:
    part, path = service.part, service.path
    if service.name in RESERVED or service.name.startswith(PREFIX):
        yield path, "is a name that the appliance reserves; choose another."
    if part.kind == "postgresql" and not part.database:
        yield path, 'lacks "database", the name of the database to dump.'
    if part.kind != "postgresql" and not part.paths:
        yield path, 'lacks "paths", what to back up.'
    if part.kind == "postgresql" and part.paths:
        yield (*path, "paths"), "is for files; a database is dumped by its name."
    if part.kind != "postgresql" and part.database:
        yield (*path, "database"), f"is for postgresql, but the kind is {part.kind}."
    if part.node in part.standbys:
        index = part.standbys.index(part.node)
        yield (*path, "standbys", index), f"{part.node} is the origin of {service.name}; a standby is another node."
    if part.policy == "exclusive" and not part.standbys:
        yield (*path, "policy"), "is exclusive, but no standby could take over; name one, or choose local-first."
    yield from _schedule_and_age(part, path)
    if part.copies < len(part.standbys):
        yield (
            (*path, "copies"),
            f"is {part.copies}, fewer than the {len(part.standbys)} standbys, which all hold a copy.",
        )
    if part.quota and part.quota < part.size.bytes:
        yield (*path, "quota"), f"is {format_bytes(part.quota)}, less than the size, {format_bytes(part.size.bytes)}."


def _people(parts: Parts) -> Iterator[Finding]:
    for person in parts.people:
        yield from _names(person.part.sites, parts.names["sites"], (*person.path, "sites"))
        boxes = (*parts.names["sites"], *parts.names["nodes"])
        yield from _names(person.part.touches, boxes, (*person.path, "touches"))
        yield from _keys_of_others(person, parts.people)


def _keys_of_others(person: Placed[PersonPart], people: list[Placed[PersonPart]]) -> Iterator[Finding]:
    """One key may sign acts and log in, if it is one person's: the journal and sshd name that person."""
    earlier = people[: people.index(person)]
    owners = {key: it.name for it in reversed(earlier) for key in (*it.part.keys, *it.part.root_keys)}
    for name, keys in (("keys", person.part.keys), ("root_keys", person.part.root_keys)):
        for index, key in enumerate(keys):
            if key in owners:
                yield (
                    (*person.path, name, index),
                    f"is already a key of {owners[key]}; each person must have their own keys.",
                )


def _outside(parts: Parts) -> Iterator[Finding]:
    for disk in parts.offline:
        yield from _name(disk.part.kept_at, (OUTSIDE, *parts.names["sites"]), (*disk.path, "kept_at"))
    named = (("external", parts.external), ("offline", parts.offline))
    taken = set(parts.names["nodes"])
    for section, things in named:
        for thing in things:
            if thing.name in taken:
                yield (section, thing.name), "is already the name of another place that holds copies."
            taken.add(thing.name)


def _events(parts: Parts) -> Iterator[Finding]:
    for event in parts.events:
        yield from _names(event.part.zones, parts.names["zones"], (*event.path, "zones"))
        yield from _names(event.part.nodes, parts.names["nodes"], (*event.path, "nodes"))
        if not event.part.zones and not event.part.nodes:
            yield event.path, "destroys nothing; name zones or nodes."
