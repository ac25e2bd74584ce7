"""The names of a service's declared paths under former bundles: signed headers name them by index alone.

    declared.json   beside the bundle, on every node

A bundle that renames, adds or reorders paths gives each index another meaning. So a node that takes one first writes
down the names before; a header is read by those that were in force when it was sealed. Its writer may have lived by the
former bundle for some hours more: until its next backup another path of that service may be named.
"""

from __future__ import annotations

import json
from pathlib import Path

from appliance.clock import utc_seconds
from appliance.host.files import write_atomic
from appliance.territory.model import Service, Territory

FORMAT = 1
FILE = "declared.json"
CHANGES_MAX = 50
"""The changes of one service: one of its paths a week for a year; headers older than the first one kept are read by
that."""

type Changes = dict[str, list[tuple[float, tuple[str, ...]]]]
"""By service: until when, UTC seconds, and which names; oldest first."""


def names_of(service: Service) -> tuple[str, ...]:
    """The declared paths in the order of their indices; a database counts as one more."""
    return (*service.paths, *((f"database {service.database}",) if service.database else ()))


def note_former(folder: Path, before: Territory, after: Territory, issued: str) -> None:
    """Before a bundle with `after`, signed at `issued`, takes the place of `before` in `folder`."""
    changes, until = _load(folder / FILE), utc_seconds(issued)
    changed = [name for name in before.services.keys() & after.services.keys() if _differ(before, after, name)]
    for name in changed:
        kept = [it for it in changes.get(name, ()) if it[0] < until]
        changes[name] = [*kept, (until, names_of(before.services[name]))][-CHANGES_MAX:]
    if changed:
        write_atomic(folder / FILE, json.dumps({"format": FORMAT, "services": changes}).encode())


def declared_at(folder: Path, service: Service, *times: float) -> tuple[tuple[str, ...], ...]:
    """The names by which headers of `service` that were sealed at `times`, UTC seconds, count."""
    changes = _load(folder / FILE).get(service.name, ())
    today = names_of(service)
    return tuple(next((names for until, names in changes if time <= until), today) for time in times)


def _differ(before: Territory, after: Territory, name: str) -> bool:
    return names_of(before.services[name]) != names_of(after.services[name])


def _load(path: Path) -> Changes:
    """Nothing where nothing changed yet, and for what cannot be read: then today's names are shown, as before."""
    try:
        fields = json.loads(path.read_bytes())
        if fields["format"] != FORMAT:
            return {}
        return {
            str(name): [(float(until), tuple(map(str, names))) for until, names in rows]
            for name, rows in fields["services"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
