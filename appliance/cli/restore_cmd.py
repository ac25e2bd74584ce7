"""`appliance restore`: find a file by name and bring it, a folder or everything back; nothing it replaces is lost."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from appliance.backup.node import Node
from appliance.backup.openable import AUTO, OpenedSource, open_best
from appliance.borg.client import Borg
from appliance.borg.errors import PathMissing
from appliance.borg.model import Kind, Progress
from appliance.cli import restore_text as text
from appliance.cli.arguments import FILE_TYPE, NAME_TYPE, command, dry_run_option, printable
from appliance.cli.output import emit, progress, say
from appliance.cli.this_node import this_layout, this_node, typed_paper
from appliance.errors import WARNINGS, NotFound, UsageError
from appliance.restore.catalogue import catch_up
from appliance.restore.contents import examine
from appliance.restore.job import Job, jobs
from appliance.restore.jobs import changes_of, plan
from appliance.restore.jobs import run as run_job
from appliance.restore.model import Found, Version
from appliance.restore.schema import open_catalogue
from appliance.restore.search import deleted, search, versions
from appliance.restore.undo import undo as undo_job
from appliance.units import format_bytes

UNENDED = ("planned", "extracted", "kept")
SEARCHED_FOR_DELETED = 100_000
PLACE_OF_PATHS = Path("/")  # archives hold absolute names without their first slash

service_option = click.option("--service", type=NAME_TYPE, help="Needed where this node may open more than one.")
source_option = click.option(
    "--from",
    "source",
    default=AUTO,
    show_default=True,
    metavar="SOURCE",
    help="local (written here), standby (held here), peer:NAME, or auto: the best, after asking everybody.",
)
paper_option = click.option(
    "--paper", is_flag=True, help="Open it with the recovery key, typed without echo (or on standard input)."
)


def target_options[F: Callable[..., Any]](function: F) -> F:
    """--version or --archive, and --to or --in-place."""
    options = (
        click.option("--version", "number", type=click.IntRange(min=1), help="As `restore versions` numbers them."),
        click.option("--archive", metavar="NAME", help="As it was in this archive."),
        click.option("--to", metavar="DIR", type=FILE_TYPE, help="A folder that is empty or not there yet."),
        click.option("--in-place", is_flag=True, help="Where it was; what stands there is kept, see `restore undo`."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.group()
def restore() -> None:
    """Find a file by name over all versions and bring it, a folder or everything back, from the best copy there is."""


@restore.command()
@click.argument("words", metavar="TERM...", nargs=-1)
@service_option
@click.option("--deleted", "only_deleted", is_flag=True, help="Only what the newest backup has no more.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most that many.")
@source_option
@paper_option
def find(words: tuple[str, ...], service: str | None, only_deleted: bool, limit: int, source: str, paper: bool) -> None:
    """Find every file whose path holds all words of TERM, in any version; accents and case do not matter."""
    term = " ".join(words).strip()
    if not term and not only_deleted:
        raise UsageError("what shall be found?", remedy="Give a part of the name, or --deleted for what was deleted.")
    node = this_node()
    found: list[dict[str, Any]] = []
    sources = {}
    for name in [service] if service else _openable(node):
        opened = _open(node, name, source, paper=paper)
        sources[name] = text.source_json(opened)
        with _catalogue(name, opened) as catalogue:
            found += [text.found_json(name, hit) for hit in _hits(catalogue, term, limit, only_deleted=only_deleted)]
    emit({"found": found, "sources": sources}, text.found_text(found))
    if found:
        path, of = found[0]["path"], found[0]["service"]
        say(f"Next: {command('restore', 'versions', path, '--service', of)}")


@restore.command("versions")
@click.argument("path")
@service_option
@source_option
@paper_option
def versions_(path: str, service: str | None, source: str, paper: bool) -> None:
    """List every version of exactly this PATH, numbered from 1, the newest."""
    node = this_node()
    name = service or _only(node)
    opened = _open(node, name, source, paper=paper)
    path = path.strip("/")
    with _catalogue(name, opened) as catalogue:
        found = text.versions_json(versions(catalogue, path))
    emit(
        {"service": name, "path": path, "versions": found, "source": text.source_json(opened)},
        text.versions_text(found),
    )
    verb = "folder" if found[0]["kind"] == "folder" else "file"
    say(f"Next: {command('restore', verb, path, '--service', name, '--version', '1', '--to', 'DIR')}")


@restore.command()
@click.argument("path")
@service_option
@target_options
@source_option
@paper_option
@dry_run_option
def file(path: str, **words: Any) -> int | None:
    """Bring the file PATH back, by default its newest version, also when it was deleted."""
    return _restore_path(path, folder=False, **words)


@restore.command()
@click.argument("path")
@service_option
@target_options
@source_option
@paper_option
@dry_run_option
def folder(path: str, **words: Any) -> int | None:
    """Bring the folder PATH back with all in it, as it was in the newest archive that has it."""
    return _restore_path(path, folder=True, **words)


@restore.command("all")
@service_option
@click.option("--archive", metavar="NAME", help="As it was in this archive, by default the newest.")
@click.option("--to", required=True, metavar="DIR", type=FILE_TYPE, help="A folder that is empty or not there yet.")
@source_option
@paper_option
@dry_run_option
def all_(service: str | None, archive: str | None, to: Path, source: str, paper: bool, dry_run: bool) -> int | None:
    """Bring everything of a service back to a folder."""
    node = this_node()
    name = service or _only(node)
    opened = _open(node, name, source, paper=paper)
    if archive is None:
        found = Borg(opened.repository).archives()
        if not found:
            raise NotFound(f"{name} has no archive yet.", remedy=f"Type {command('backup', 'run', name)}.")
        archive = found[-1].name
    return _carry_out(node, name, opened, archive, "", to=to, dry_run=dry_run)


@restore.command()
@click.argument("job")
@service_option
@dry_run_option
def undo(job: str, service: str | None, dry_run: bool) -> None:
    """Put back what the restore JOB replaced in place, and take away what it made; both are kept, too."""
    name, found = _job(job, service)
    restores = this_layout().service(name).restores
    if dry_run:
        changes = changes_of(restores, job)
        back = sorted(path for path, change in changes.items() if change == "replace")
        away = sorted(path for path, change in changes.items() if change == "new")
        shown = {**text.job_json(name, found), "put_back": back, "taken_away": away}
        emit(shown, f"{len(back)} would be put back, {len(away)} taken away.")
        return
    done = undo_job(restores, job)
    emit(text.job_json(name, done), f"The restore {job} of {name} is undone; what it had brought is kept with it.")
    say(f"Next: {command('restore', 'jobs')}")


@restore.command("jobs")
@service_option
def jobs_(service: str | None) -> None:
    """List the restores of this node, oldest first; each can be undone for 30 days."""
    found = [text.job_json(name, job) for name, job in _jobs(service)]
    emit({"jobs": found}, text.jobs_text(found))


def _restore_path(
    path: str,
    *,
    folder: bool,
    service: str | None,
    number: int | None,
    archive: str | None,
    to: Path | None,
    in_place: bool,
    source: str,
    paper: bool,
    dry_run: bool,
) -> int | None:
    if (to is None) != in_place:
        raise UsageError("a restore goes to a folder or in place.", remedy="Give either --to DIR or --in-place.")
    if number is not None and archive is not None:
        raise UsageError("a version and an archive were given.", remedy="Give --version or --archive, not both.")
    path = path.strip("/")
    node = this_node()
    name = service or _only(node)
    opened = _open(node, name, source, paper=paper)
    if not archive:
        with _catalogue(name, opened) as catalogue:
            version = _version(versions(catalogue, path), number or 1)
        _check_kind(path, version.kind, folder=folder)
        archive = version.archive
    return _carry_out(node, name, opened, archive, path, to=to, dry_run=dry_run)


def _carry_out(
    node: Node, service: str, opened: OpenedSource, archive: str, path: str, *, to: Path | None, dry_run: bool
) -> int | None:
    """Restore `path` ("" for everything) of `archive` to the folder `to` or, without, in place."""
    target = to.absolute() if to else PLACE_OF_PATHS
    restored = str(target / path)
    if dry_run:
        contents = examine(Borg(opened.repository).items(archive, path or None))
        if path and not contents.entries:
            raise PathMissing(f'"{path}" is not in the archive {archive}.')
        shown = {"archive": archive, "restored": restored, "entries": contents.entries, "size_bytes": contents.size}
        emit(
            shown,
            f"{printable(restored)}: {contents.entries} entries, {format_bytes(contents.size)} would be restored.",
        )
        return None
    job = _restore(node, service, opened, archive, path, target=target, in_place=to is None)
    node.journal.write("restored", service=service, job=job.id, entries=job.entries, in_place=job.in_place)
    data = {**text.job_json(service, job), "restored": restored, "source": text.source_json(opened)}
    emit(data, text.job_text(job, restored))
    if job.in_place:
        say(f"Next, if that was wrong: {command('restore', 'undo', job.id, '--service', service)}")
    return WARNINGS if job.warnings else None


def _restore(
    node: Node, service: str, opened: OpenedSource, archive: str, path: str, *, target: Path, in_place: bool
) -> Job:
    restores = node.service(service).restores
    with progress(f"Restoring {service}") as advance:

        def report(seen: Progress) -> None:
            advance(seen.done_bytes, max(seen.total_bytes, seen.done_bytes + 1))

        borg = Borg(opened.repository, report)
        job = _cut_short(restores, archive, path, target, in_place=in_place) or plan(
            restores,
            borg,
            archive,
            (path,) if path else (),
            now=node.clock.now(),
            into=None if in_place else target,
            in_place=target if in_place else None,
        )
        return run_job(restores, job.id, borg, age_seconds=node.ageing.now())


def _cut_short(restores: Path, archive: str, path: str, target: Path, *, in_place: bool) -> Job | None:
    """The same restore when it was asked before and cut: typing a command again goes on with it."""
    wanted = (archive, (path,) if path else (), target, in_place)
    for job in jobs(restores):
        if job.state in UNENDED and (job.archive, job.paths, job.target, job.in_place) == wanted:
            return job
    return None


def _open(node: Node, service: str, source: str, *, paper: bool) -> OpenedSource:
    opened = open_best(node, service, source, typed_paper if paper else None)
    if opened.told:
        say(f"Note: {opened.told}")
    return opened


@contextlib.contextmanager
def _catalogue(service: str, opened: OpenedSource) -> Iterator[sqlite3.Connection]:
    """The catalogue of `service`, caught up with the archives of the opened repository one by one."""
    with contextlib.closing(open_catalogue(opened.catalogue)) as catalogue:
        borg = Borg(opened.repository)
        if catch_up(catalogue, borg, archives_max=1).archives:
            total = len(borg.archives())
            with progress(f"Reading the names of {service}") as advance:
                done = 1
                while catch_up(catalogue, borg, archives_max=1).archives:
                    done += 1
                    advance(done, total)
        yield catalogue


def _hits(catalogue: sqlite3.Connection, term: str, limit: int, *, only_deleted: bool) -> tuple[Found, ...]:
    if not term:
        return deleted(catalogue, limit=limit)
    if not only_deleted:
        return search(catalogue, term, limit=limit)
    # A search knows nothing of deletion, so it has to look at more than it may show.
    hits = search(catalogue, term, limit=SEARCHED_FOR_DELETED)
    return tuple(hit for hit in hits if hit.deleted)[:limit]


def _version(found: tuple[Version, ...], number: int) -> Version:
    if number > len(found):
        raise NotFound(f"there are {len(found)} versions, no number {number}.", remedy="See `restore versions`.")
    return found[number - 1]


def _check_kind(path: str, kind: Kind, *, folder: bool) -> None:
    if (kind == "folder") != folder:
        verb = "folder" if kind == "folder" else "file"
        raise UsageError(f'"{path}" is a {kind}.', remedy=f"Type `appliance restore {verb}`.")


def _openable(node: Node) -> list[str]:
    """The services that trust this node with their data."""
    territory = node.bundle.territory
    found = [name for name in sorted(territory.services) if node.name in territory.trusted(name)]
    if not found:
        raise NotFound(f"no service trusts {node.name} with its data.", remedy="Restore on the origin or a standby.")
    return found


def _only(node: Node) -> str:
    found = _openable(node)
    if len(found) > 1:
        raise UsageError("which service is this about?", remedy=f"Give --service; known: {', '.join(found)}.")
    return found[0]


def _jobs(service: str | None) -> Iterator[tuple[str, Job]]:
    layout = this_layout()
    services = layout.root / "services"
    names = [service] if service else sorted(path.name for path in services.glob("*"))
    for name in names:
        for job in jobs(layout.service(name).restores):
            yield name, job


def _job(job_id: str, service: str | None) -> tuple[str, Job]:
    found = [(name, job) for name, job in _jobs(service) if job.id == job_id]
    if not found:
        raise NotFound(f'there is no restore "{job_id}" here.', remedy=f"See {command('restore', 'jobs')}.")
    if len(found) > 1:
        raise UsageError(f"{len(found)} services have a restore {job_id}.", remedy="Give --service.")
    return found[0]
