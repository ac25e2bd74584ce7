"""`appliance restore find` and `versions`: what there is to bring back, by name, over all versions."""

from __future__ import annotations

import sqlite3
from typing import Any

import click

from appliance.cli import restore_text as text
from appliance.cli.arguments import command
from appliance.cli.output import emit, say
from appliance.cli.restore_source import (
    catalogue_of,
    known_versions,
    only_service,
    open_source,
    openable,
    paper_option,
    service_option,
    source_option,
    typed_source,
)
from appliance.cli.this_node import this_node
from appliance.errors import WARNINGS, ApplianceError, UsageError
from appliance.restore import search
from appliance.restore.model import Found

SEARCHED_FOR_DELETED = 100_000
LIMIT_MAX = 10_000
LIMIT_NEXT_FACTOR = 20


@click.command()
@click.argument("words", metavar="TERM...", nargs=-1)
@service_option
@click.option("--deleted", "only_deleted", is_flag=True, help="Only what the newest backup has no more.")
@click.option("--limit", type=click.IntRange(1, LIMIT_MAX), default=50, show_default=True, help="At most that many.")
@source_option
@paper_option
def find(
    words: tuple[str, ...], service: str | None, only_deleted: bool, limit: int, source: str, paper: bool
) -> int | None:
    """Find every file whose path holds all words of TERM, in any version; accents and case do not matter.

    Ends with 1 when one of several services could not be searched.
    """
    term = " ".join(words).strip()
    if not term and not only_deleted:
        raise UsageError("what shall be found?", remedy="Give a part of the name, or --deleted for what was deleted.")
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
        say(f"{len(found)} shown, more exist: --limit {min(limit * LIMIT_NEXT_FACTOR, LIMIT_MAX)}")
    again = typed_source(source, paper=paper)
    if found:
        path, of = found[0]["path"], found[0]["service"]
        say(f"Next: {command('restore', 'versions', path, '--service', of, *again)}")
    elif not only_deleted:
        about = ("--service", service) if service else ()
        say(f"Next, with a shorter part of the name: {command('restore', 'find', 'PART', *about, *again)}")
    return WARNINGS if unsearched else None


@click.command()
@click.argument("path")
@service_option
@source_option
@paper_option
def versions(path: str, service: str | None, source: str, paper: bool) -> None:
    """List every version of exactly this PATH, numbered from 1, the newest."""
    node = this_node()
    name = service or only_service(node)
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
