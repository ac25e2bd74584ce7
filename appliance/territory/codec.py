"""A territory and its placements as plain JSON values and back: what the signed bundle embeds.

Only the standard library, so that a vault of a few megabytes can read a bundle. Fields are named as in `model`; what
has a name is in lists sorted by name; there are no floats. A field that is missing has its default (an older bundle),
one that is unknown is refused (a newer one may mean something that this version would neglect).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from appliance.errors import IntegrityError
from appliance.territory.model import CONTROL, NAME, Placement, Territory


def to_json(territory: Territory) -> dict[str, Any]:
    """`territory` as values that json.dumps writes the same way each time."""
    values: dict[str, Any] = plain(territory)
    return values


def from_json(values: Mapping[str, Any]) -> Territory:
    """The inverse of `to_json`; raise IntegrityError for anything else, broken references included."""
    territory: Territory = thing(Territory, values, "territory")
    _check_references(territory)
    return territory


def placements_to_json(placements: Mapping[str, Placement]) -> list[dict[str, Any]]:
    """Holders and spares of each service; reasons are for the person who plans and are not kept."""
    return [
        {"service": name, "holders": list(placement.holders), "spares": list(placement.spares)}
        for name, placement in sorted(placements.items())
    ]


def placements_from_json(values: Iterable[Any]) -> dict[str, Placement]:
    """The inverse of `placements_to_json`; raise IntegrityError for anything else."""
    placements = [thing(Placement, value, "placements") for value in values]
    return {placement.service: placement for placement in placements}


def plain(value: Any) -> Any:
    """A dataclass of the model, or a part of one, as JSON values."""
    if is_dataclass(value):
        # Fields that are signed apart from the territory leave former versions able to read it.
        signed = (field.name for field in fields(value) if not field.metadata.get("apart"))
        return {name: plain(getattr(value, name)) for name in signed}
    if isinstance(value, Mapping):
        return [plain(value[name]) for name in sorted(value)]
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def thing(kind: Any, values: Any, where: str) -> Any:
    """The dataclass `kind` from the mapping `values`, the inverse of `plain`; raise IntegrityError, naming `where`."""
    if not isinstance(values, Mapping):
        raise IntegrityError(f"{where} is not an object.")
    hints = _hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise IntegrityError(f'{where} has a field "{unknown[0]}" that this version does not know. Upgrade this node.')
    for field in fields(kind):
        if field.name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise IntegrityError(f'{where} lacks its field "{field.name}".')
    return kind(**{name: _value(hints[name], value, f"{where} > {name}") for name, value in values.items()})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _value(kind: Any, value: Any, where: str) -> Any:
    if kind in (str, int, bool):
        if type(value) is not kind:
            raise IntegrityError(f"{where} is not of type {kind.__name__}.")
        return _printable(value, where) if kind is str else value
    if is_dataclass(kind):
        return thing(kind, value, where)
    if not isinstance(value, list):
        raise IntegrityError(f"{where} is not a list.")
    items = [_value(get_args(kind)[-1 if get_origin(kind) is Mapping else 0], item, where) for item in value]
    return _by_name(items, where) if get_origin(kind) is Mapping else tuple(items)


def _printable(text: str, where: str) -> str:
    """`text` without the line break that a block of YAML ends with, which former versions signed."""
    shown = text.rstrip("\n")
    if CONTROL.search(shown):
        raise IntegrityError(
            f"{where} contains a line break or another control character.",
            remedy="Remove it from territory.yml, and sign it again with `territory sign`.",
        )
    return shown


def legible(values: Any) -> Any:
    """`values` with a space for each control character in a text: former versions signed such texts, and what is
    in force on a node already is neither refused nor written into a file of root's as it is."""
    if isinstance(values, Mapping):
        return {name: legible(value) for name, value in values.items()}
    if isinstance(values, list):
        return [legible(value) for value in values]
    return CONTROL.sub(" ", values.rstrip("\n")) if isinstance(values, str) else values


def _by_name(things: list[Any], where: str) -> dict[str, Any]:
    named = {thing.name: thing for thing in things}
    if len(named) != len(things):
        raise IntegrityError(f"{where} names something twice.")
    return named


def _check_references(territory: Territory) -> None:
    """The names that the code looks up unchecked must be there; the planner's file is checked in far more detail."""
    named = (territory.zones, territory.sites, territory.nodes, territory.services, territory.people)
    if bad := [name for things in named for name in things if not NAME.fullmatch(name)]:
        raise IntegrityError(f'territory: "{bad[0]}" is not a name.')
    for thing, known in _references(territory):
        if thing not in known:
            raise IntegrityError(f'territory: "{thing}" is named but not described.')


def _references(territory: Territory) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for site in territory.sites.values():
        yield from ((zone, territory.zones) for zone in site.zones)
    for node in territory.nodes.values():
        yield node.site, territory.sites
        yield node.uplink, territory.links
        yield from ((zone, territory.zones) for zone in node.zones)
    for service in territory.services.values():
        yield from ((node, territory.nodes) for node in (service.node, *service.standbys))
        yield from ((peer, territory.external) for peer in service.external)
        yield from ((disk, territory.offline) for disk in service.offline)
    for event in territory.events.values():
        yield from ((zone, territory.zones) for zone in event.zones)
        yield from ((node, territory.nodes) for node in event.nodes)
