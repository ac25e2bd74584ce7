"""The schedules of minutes, as a bundle holds them: by the first name of the service, apart from the territory.

A version that does not know the field backs such a service up after each whole hour that follows: the territory says so
(`Schedule.of_minutes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from appliance.errors import IntegrityError
from appliance.territory.model import Schedule, Service, Territory

MINUTES_MOST = 7 * 24 * 60


def to_json(services: Iterable[Service]) -> dict[str, Any]:
    """The field of a bundle; none where no service has such a schedule."""
    minutes = {it.name: it.schedule.every_minutes for it in services if it.schedule.every_minutes}
    return {"minutes": dict(sorted(minutes.items()))} if minutes else {}


def with_minutes(territory: Territory, fields: Mapping[str, Any]) -> Territory:
    """`territory` with the schedules of `fields`; raise IntegrityError for anything else than minutes of services."""
    found = fields.get("minutes", {})
    if (
        not isinstance(found, dict)
        or not all(_is_sound(it) for it in found.values())
        or found.keys() - territory.services
    ):
        raise IntegrityError('appliance/bundle: field "minutes" is malformed.')
    services = territory.services
    changed = {name: replace(services[name], schedule=Schedule.of_minutes(it)) for name, it in found.items()}
    return replace(territory, services={**services, **changed})


def _is_sound(minutes: object) -> bool:
    return type(minutes) is int and 0 < minutes <= MINUTES_MOST
