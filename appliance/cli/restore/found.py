"""The work of `appliance restore find` and `versions` once it is said what is looked for."""

from __future__ import annotations

import sqlite3
from typing import Any

from appliance.cli.arguments import command
from appliance.cli.output import emit, say
from appliance.cli.restore import text
from appliance.cli.restore.options import LIMIT_MAX, typed_source
from appliance.cli.restore.source import catalogue_of, known_versions, open_source, openable, service_of
from appliance.cli.this_node import this_node
from appliance.errors import WARNINGS, ApplianceError
from appliance.restore import search
from appliance.restore.model import Found

SEARCHED_FOR_DELETED = 100_000
LIMIT_NEXT_FACTOR = 20


def find(term: str, service: str | None, limit: int, source: str, *, only_deleted: bool, paper: bool) -> int | None:
    """Search every service that is meant, and print what was found; the exit code."""
    node = this_node()
    found: list[dict[str, Any]] = []
    sources: dict[str, Any] = {}
    unsearched: dict[str, str] = {}
    more = False
    names = [service] if service else openable(node)
    for name in names:
        try:
            opened = open_source(node, name, source, paper=paper)
            with catalogue_of(node, name, opened) as catalogue:
                hits = _hits(catalogue, term, limit + 1, only_deleted=only_deleted)
        except ApplianceError as error:
            if len(names) == 1:
                raise
            unsearched[name] = str(error)
            say(f"Not searched: {name}: {error}")
            continue
        sources[name] = text.source_json(opened)
        found += [text.found_json(name, hit) for hit in hits[:limit]]
        more = more or len(hits) > limit
    emit({"found": found, "more": more, "sources": sources, "unsearched": unsearched}, text.found_text(found))
    if more:
        say(f"{len(found)} shown, there are more: --limit {min(limit * LIMIT_NEXT_FACTOR, LIMIT_MAX)}")
    again = typed_source(source, paper=paper)
    if found:
        path, of = found[0]["path"], found[0]["service"]
        say(f"Next: {command('restore', 'versions', path, '--service', of, *again)}")
    elif not only_deleted:
        about = ("--service", service) if service else ()
        say(f"Next, with a shorter part of the name: {command('restore', 'find', 'PART', *about, *again)}")
    return WARNINGS if unsearched else None


def versions(path: str, service: str | None, source: str, *, paper: bool) -> None:
    """Print every version of `path`."""
    node = this_node()
    name = service or service_of(node, path)
    opened = open_source(node, name, source, paper=paper)
    path = path.strip("/")
    again = typed_source(source, paper=paper)
    with catalogue_of(node, name, opened) as catalogue:
        found = text.versions_json(known_versions(catalogue, path, name, again))
    emit(
        {"service": name, "path": path, "versions": found, "source": text.source_json(opened)},
        text.versions_text(found),
    )
    verb = "folder" if found[0]["kind"] == "folder" else "file"
    words = ("restore", verb, path, "--service", name, "--version", "1", "--to", "DIR", *again)
    say(f"Next: {command(*words)}")


def _hits(catalogue: sqlite3.Connection, term: str, limit: int, *, only_deleted: bool) -> tuple[Found, ...]:
    if not term:
        return search.deleted(catalogue, limit=limit)
    if not only_deleted:
        return search.search(catalogue, term, limit=limit)
    # A search knows nothing of deletion, so it has to look at more than it may show.
    hits = search.search(catalogue, term, limit=SEARCHED_FOR_DELETED)
    return tuple(hit for hit in hits if hit.deleted)[:limit]
