"""One question to the catalogues of several services, within the scope of the person who asks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from appliance.restore.gone import Gone, gone
from appliance.restore.model import Found, Version
from appliance.restore.scope import Folders, Scope, missing
from appliance.restore.search import LIMIT, search, versions

type Catalogues = Mapping[str, sqlite3.Connection]


@dataclass(frozen=True)
class Hits[Thing]:
    """(service, what was found there); `more` when there is more than was asked for."""

    hits: tuple[tuple[str, Thing], ...]
    more: bool = False


def find(catalogues: Catalogues, scope: Scope, term: str, *, limit: int = LIMIT) -> Hits[Found]:
    """The files of every service in scope whose path holds every word of `term`; what changed last comes first."""
    return _ask(
        catalogues,
        scope,
        lambda connection, folders: search(connection, term, limit=limit + 1, folders=folders),
        lambda it: (it.mtime_seconds, it.last_seen_seconds),
        limit,
    )


def find_gone(catalogues: Catalogues, scope: Scope, *, limit: int = LIMIT, offset: int = 0) -> Hits[Gone]:
    """Return the deleted entries of every service in scope, latest first, `offset` entries passed over."""
    found = _ask(
        catalogues,
        scope,
        lambda connection, folders: gone(connection, folders=folders, limit=offset + limit + 1),
        lambda it: (it.last_seen_seconds, it.mtime_seconds),
        offset + limit,
    )
    return Hits(found.hits[offset:], found.more)


def find_versions(catalogues: Catalogues, scope: Scope, service: str, path: str) -> tuple[Version, ...]:
    """Every version of `path`, newest first; raise PathMissing alike for what is out of scope and what is not there."""
    scope.check(service, path)
    if service not in catalogues:
        raise missing(path)
    return versions(catalogues[service], path)


def _ask[Thing](
    catalogues: Catalogues,
    scope: Scope,
    question: Callable[[sqlite3.Connection, Folders], tuple[Thing, ...]],
    order: Callable[[Thing], tuple[float, float]],
    limit: int,
) -> Hits[Thing]:
    found = [
        (service, it) for service, connection in catalogues.items() for it in question(connection, scope.of(service))
    ]
    found.sort(key=lambda hit: order(hit[1]), reverse=True)
    return Hits(tuple(found[:limit]), len(found) > limit)
