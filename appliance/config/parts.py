"""The parts of `territory.yml`, each against its own schema, with the path at which each stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pydantic import BaseModel

from appliance.config import schema
from appliance.config.check import MAPPING_EXPECTED, check_part
from appliance.config.explain import Path, Problems
from appliance.config.fields import name_problem
from appliance.config.service_schema import ServicePart
from appliance.config.tree import Listing, Mapping, Scalar, Tree
from appliance.territory.model import NAME


@dataclass(frozen=True)
class Placed[Part: BaseModel]:
    """A part that passed its schema, `name`d and standing at `path`."""

    name: str
    path: Path
    part: Part


@dataclass
class Parts:
    """The parts that passed. `names` has for each section every name in the file, so that a mistake in one part is no
    mistake of those that refer to it."""

    territory: schema.TerritoryPart | None = None
    zones: list[Placed[schema.ZonePart]] = field(default_factory=list)
    links: list[Placed[schema.LinkPart]] = field(default_factory=list)
    sites: list[Placed[schema.SitePart]] = field(default_factory=list)
    nodes: list[Placed[schema.NodePart]] = field(default_factory=list)
    services: list[Placed[ServicePart]] = field(default_factory=list)
    people: list[Placed[schema.PersonPart]] = field(default_factory=list)
    external: list[Placed[schema.ExternalPart]] = field(default_factory=list)
    offline: list[Placed[schema.OfflinePart]] = field(default_factory=list)
    events: list[Placed[schema.EventPart]] = field(default_factory=list)
    duty: Placed[schema.DutyPart] | None = None
    names: dict[str, list[str]] = field(default_factory=dict)


def with_defaults(root: Mapping) -> Mapping:
    """`root` with `defaults` filled in for each node and each service; filled values keep the lines of `defaults`."""
    defaults = root.entries.get("defaults")
    node, service = (_entries(defaults, key) for key in ("node", "service"))
    entries = dict(root.entries)
    if isinstance(services := entries.get("services"), Mapping):
        entries["services"] = _fill_each(services, service)
    if isinstance(sites := entries.get("sites"), Mapping):
        filled = {name: _fill_nodes(site, node) for name, site in sites.entries.items()}
        entries["sites"] = replace(sites, entries=filled)
    return replace(root, entries=entries)


def read_parts(root: Mapping, problems: Problems) -> Parts:
    """Every part of `root` that passes its schema; the reasons why others do not are in `problems`."""
    parts = Parts()
    check_part(schema.Document, root, problems)
    if (head := root.entries.get("territory")) is not None:
        parts.territory = check_part(schema.TerritoryPart, head, problems)
    if (defaults := root.entries.get("defaults")) is not None:
        check_part(schema.DefaultsPart, defaults, problems)
    parts.zones = _section(parts, "zones", schema.ZonePart, root, problems)
    parts.links = _section(parts, "links", schema.LinkPart, root, problems)
    parts.sites = _section(parts, "sites", schema.SitePart, root, problems)
    parts.nodes = list(_nodes(parts, root, problems))
    parts.services = _section(parts, "services", ServicePart, root, problems)
    parts.people = _section(parts, "people", schema.PersonPart, root, problems)
    if (duty := root.entries.get("duty")) is not None and not _is_empty(duty):
        found = check_part(schema.DutyPart, duty, problems)
        parts.duty = Placed("duty", ("duty",), found) if found else None
    parts.external = _section(parts, "external", schema.ExternalPart, root, problems)
    parts.offline = _section(parts, "offline", schema.OfflinePart, root, problems)
    parts.events = _section(parts, "events", schema.EventPart, root, problems)
    return parts


def _entries(tree: Tree | None, key: str) -> dict[str, Tree]:
    inner = tree.entries.get(key) if isinstance(tree, Mapping) else None
    return inner.entries if isinstance(inner, Mapping) else {}


def _fill_each(things: Mapping, defaults: dict[str, Tree]) -> Mapping:
    return replace(things, entries={name: _fill(thing, defaults) for name, thing in things.entries.items()})


def _fill(thing: Tree, defaults: dict[str, Tree]) -> Tree:
    return replace(thing, entries={**defaults, **thing.entries}) if isinstance(thing, Mapping) else thing


def _fill_nodes(site: Tree, defaults: dict[str, Tree]) -> Tree:
    if not isinstance(site, Mapping) or not isinstance(nodes := site.entries.get("nodes"), Listing):
        return site
    filled = replace(nodes, items=tuple(_fill(node, defaults) for node in nodes.items))
    return replace(site, entries={**site.entries, "nodes": filled})


def _section[Part: BaseModel](
    parts: Parts, section: str, kind: type[Part], root: Mapping, problems: Problems
) -> list[Placed[Part]]:
    placed: list[Placed[Part]] = []
    entries = _section_entries(section, root, problems)
    parts.names[section] = list(entries)
    for name, tree in entries.items():
        # Lines are called what people call them: "4g" becomes neither a user nor a folder.
        if (problem := name_problem(name)) and not (section == "links" and NAME.fullmatch(f"x{name}")):
            problems.add_line(tree.place.line, (section,), problem)
        part = check_part(kind, tree, problems)
        if part is not None:
            placed.append(Placed(name, tree.place.path, part))
    return placed


def _section_entries(section: str, root: Mapping, problems: Problems) -> dict[str, Tree]:
    tree = root.entries.get(section)
    if isinstance(tree, Mapping):
        return tree.entries
    if tree is not None and not _is_empty(tree):
        problems.add_line(tree.place.line, tree.place.path, MAPPING_EXPECTED)
    return {}


def _is_empty(tree: Tree) -> bool:
    return isinstance(tree, Scalar) and tree.text is None


def _nodes(parts: Parts, root: Mapping, problems: Problems) -> Iterator[Placed[schema.NodePart]]:
    parts.names["nodes"] = []
    for node in _node_trees(root, problems):
        if isinstance(node, Mapping) and isinstance(name := node.entries.get("name"), Scalar) and name.text:
            parts.names["nodes"].append(name.text)
        part = check_part(schema.NodePart, node, problems)
        if part is not None:
            yield Placed(part.name, node.place.path, part)


def _node_trees(root: Mapping, problems: Problems) -> Iterator[Tree]:
    for site in _entries(root, "sites").values():
        nodes = site.entries.get("nodes") if isinstance(site, Mapping) else None
        if isinstance(nodes, Listing):
            yield from nodes.items
        elif nodes is not None:
            sentence = "must be a list of nodes, each starting with a hyphen."
            problems.add_line(nodes.place.line, nodes.place.path, sentence)
