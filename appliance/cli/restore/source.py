"""Which service, from which source: what `appliance restore` asks before it searches or restores."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import PurePosixPath

from appliance.backup.chain.fetched_size import held_by_anybody
from appliance.backup.peers.fetch import short_name, survey_all
from appliance.backup.peers.openable import WITH_PAPER, OpenedSource, open_best
from appliance.backup.writer.filling import unread_in
from appliance.borg.answers import is_below
from appliance.borg.client import Borg
from appliance.cli.arguments import command
from appliance.cli.output import progress, say
from appliance.cli.this_node import typed_paper
from appliance.errors import NotFound, UsageError
from appliance.node.handle import Node
from appliance.restore import search
from appliance.restore.catalogue import catch_up, has_archives, is_current
from appliance.restore.model import Version
from appliance.restore.schema import errors_named, open_catalogue
from appliance.territory.implicit import is_implicit
from appliance.territory.model import Service

OLDER_NAMED_MAX = 3


def open_source(node: Node, service: str, source: str, *, paper: bool) -> OpenedSource:
    opened = open_best(node, service, source, typed_paper if paper else None)
    if paper and not opened.generation:
        say(f"Note: the recovery key is not needed and was not read: {service} is written on this node.")
    if opened.told:
        say(f"Note: {opened.told}")
    return opened


def no_archive(node: Node, service: str, opened: OpenedSource) -> NotFound:
    """The error that there is nothing in what was opened, and what to type: at its writer a backup, elsewhere an older
    one."""
    if not opened.generation:
        return NotFound(f"{service} has no archive yet.", remedy=f"Type {command('backup', 'run', service)}.")
    held = held_by_anybody(node, service, survey_all(node, service))
    older = [short_name(name) for name in sorted(held, reverse=True) if short_name(name) != opened.generation]
    remedy = f"Older ones exist: {' or '.join(f'--from generation:{it}' for it in older[:OLDER_NAMED_MAX])}."
    return NotFound(
        f"generation {opened.generation} of {service} has no archive: it never had one, or its archives were deleted.",
        remedy=remedy if older else f"See `appliance status` at {node.bundle.last_terms(service).origin}.",
    )


@contextlib.contextmanager
def catalogue_of(node: Node, service: str, opened: OpenedSource) -> Iterator[sqlite3.Connection]:
    """The catalogue of `service`, caught up with the archives of the opened repository.

    Raise NotFound for a generation without any: a search in it would find nothing and look as if all were well;
    CorruptCatalogue for a damaged catalogue, which is removed, so that the same command then reads the names again.
    """
    path = opened.catalogue
    with errors_named(path), contextlib.closing(open_catalogue(path)) as catalogue:
        if not is_current(catalogue, opened.repository):
            with progress(f"Reading the names of {service}") as advance:
                borg = Borg(opened.repository)
                catch_up(catalogue, borg, advance, partial(unread_in, borg, service))
        if opened.generation and not has_archives(catalogue):
            raise no_archive(node, service, opened)
        yield catalogue


def known_versions(
    catalogue: sqlite3.Connection, path: str, service: str, source: tuple[str, ...]
) -> tuple[Version, ...]:
    """Every version of exactly this path, newest first; raise NotFound, with the search to type in the same `source`
    (`typed_source`), when there is none."""
    try:
        return search.versions(catalogue, path)
    except NotFound as error:
        part = PurePosixPath(path).name or "PART"
        remedy = f"Search for it: {command('restore', 'find', part, '--service', service, *source)}"
        raise NotFound(error.what, remedy=remedy) from error


def openable(node: Node) -> list[str]:
    """The services that trust this node with their data; nodes' own ones, or those that left the territory, only where
    there is no other."""
    bundle = node.bundle
    found = _trusting(node, bundle.territory.services) or _trusting(node, bundle.former.services)
    if not found:
        raise NotFound(
            f"no service trusts {node.name} with its key.", remedy=f"Restore on the origin or a standby. {WITH_PAPER}"
        )
    return [it.name for it in found if not is_implicit(it)] or [it.name for it in found]


def _trusting(node: Node, names: Iterable[str]) -> list[Service]:
    return [node.bundle.last_terms(it).service for it in sorted(names) if node.name in node.bundle.trusted(it)]


def only_service(node: Node) -> str:
    found = openable(node)
    if len(found) > 1:
        raise UsageError("no service was named.", remedy=f"Give --service; known: {', '.join(found)}.")
    return found[0]


def service_of(node: Node, path: str) -> str:
    """The service that has `path`, by the paths that the bundle declares; else the only one there is."""
    found = openable(node)
    declared = {name: node.bundle.last_terms(name).service.paths for name in found}
    having = [name for name, paths in declared.items() if any(is_below(path.strip("/"), it) for it in paths)]
    return having[0] if len(having) == 1 else only_service(node)
