"""The names that people gave services later, as a bundle holds them: by the first name, apart from the territory.

A version that does not know the field calls a service by its first name, which is that of all its documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from appliance.errors import IntegrityError
from appliance.territory.model import NAME, Service, Territory


def to_json(services: Iterable[Service]) -> dict[str, Any]:
    """The field of a bundle; none where no service was renamed."""
    called = {it.name: it.called for it in services if it.called}
    return {"called": dict(sorted(called.items()))} if called else {}


def from_json(fields: Mapping[str, Any]) -> Mapping[str, str]:
    """By their first names; raise IntegrityError for anything else."""
    found = fields.get("called", {})
    sound = isinstance(found, dict) and all(isinstance(it, str) and NAME.fullmatch(it) for it in found.values())
    if not sound or len(set(found.values()) | found.keys()) != 2 * len(found):
        raise IntegrityError('appliance/bundle: field "called" is malformed.')
    return {str(first): str(name) for first, name in found.items()}


def with_called(territory: Territory, called: Mapping[str, str]) -> Territory:
    services = territory.services.items()
    return replace(territory, services={name: replace(it, called=called.get(name, "")) for name, it in services})
