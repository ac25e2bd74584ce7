"""`appliance restore`: find a file by name and bring it, a folder or everything back; nothing it replaces is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from appliance.backup.node import Node
from appliance.backup.openable import OpenedSource
from appliance.borg.client import Borg
from appliance.borg.model import Kind, Progress
from appliance.cli import restore_text as text
from appliance.cli.arguments import FILE_TYPE, command, dry_run_option, printable
from appliance.cli.options import options
from appliance.cli.output import emit, progress, say
from appliance.cli.restore_find_cmd import find, versions
from appliance.cli.restore_source import (
    catalogue_of,
    known_versions,
    only_service,
    open_source,
    paper_option,
    service_option,
    source_option,
)
from appliance.cli.this_node import this_layout, this_node
from appliance.errors import WARNINGS, ApplianceError, NotFound, UsageError
from appliance.restore import search
from appliance.restore.contents import Contents
from appliance.restore.job import Job, jobs
from appliance.restore.jobs import changes_of, contents_of, plan
from appliance.restore.jobs import run as run_job
from appliance.restore.model import Version
from appliance.restore.undo import expire, expired
from appliance.restore.undo import undo as undo_job
from appliance.territory.implicit import is_implicit
from appliance.units import MIB, format_bytes

UNENDED = ("planned", "extracted", "kept")
SOON_DONE_BYTES, SOON_DONE_ENTRIES = 64 * MIB, 1000
PLACE_OF_PATHS = Path("/")  # archives hold absolute names without their first slash


@dataclass(frozen=True)
class Wanted:
    """What to restore: `path` ("" for everything) of `archive`; `known` is what the catalogue vouches for it to be."""

    archive: str
    path: str = ""
    known: Contents | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,) if self.path else ()


def place_options[F: Callable[..., Any]](function: F) -> F:
    """--to or --in-place."""
    to = click.option("--to", metavar="DIR", type=FILE_TYPE, help="A folder that is empty or not there yet.")
    in_place = click.option("--in-place", is_flag=True, help="Where it was; what stands there is kept, `restore undo`.")
    return to(in_place(function))


def target_options[F: Callable[..., Any]](function: F) -> F:
    """--version or --archive, and --to or --in-place."""
    options = (
        click.option("--version", "number", type=click.IntRange(min=1), help="As `restore versions` numbers them."),
        click.option("--archive", metavar="NAME", help="As it was in this archive."),
    )
    function = place_options(function)
    for option in reversed(options):
        function = option(function)
    return function


@click.group()
def restore() -> None:
    """Find a file by name over all versions and bring it, a folder or everything back, from the best copy there is."""


restore.add_command(find)
restore.add_command(versions)


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
@place_options
@source_option
@paper_option
@dry_run_option
def all_(
    service: str | None,
    archive: str | None,
    to: Path | None,
    in_place: bool,
    source: str,
    paper: bool,
    dry_run: bool,
) -> int | None:
    """Bring everything of a service back."""
    _check_place(to, in_place)
    node = this_node()
    name = service or only_service(node)
    opened = open_source(node, name, source, paper=paper)
    return _carry_out(node, name, opened, Wanted(archive or _newest(name, opened)), to=to, dry_run=dry_run)


@restore.command("node")
@place_options
@click.option("--once", is_flag=True, help="Leave what this machine brought back in place before.")
@source_option
@paper_option
@dry_run_option
def node_(to: Path | None, in_place: bool, once: bool, source: str, paper: bool, dry_run: bool) -> int | None:
    """Bring back everything of which this node is the origin, each service in turn, for a machine that was replaced.

    With --to each service gets a folder of its own there. In place, a database is not loaded: `restore all` brings its
    dump, and the sentence names it. A service that cannot be opened stops no other. The same command goes on after a
    cut.
    """
    _check_place(to, in_place)
    node = this_node()
    services = [it for it in node.bundle.territory.services_of(node.name) if not is_implicit(it)]
    if not services:
        raise NotFound(f"{node.name} is the origin of no service.", remedy="Restore a service with `restore all`.")
    dumps = [it.name for it in services if in_place and it.kind == "postgresql"]
    before = [it.name for it in services if once and in_place and _is_back(node.service(it.name).restores)]
    done: dict[str, Brought] = {}
    failed: dict[str, ApplianceError] = {}
    for service in (it.name for it in services if it.name not in (*dumps, *before)):
        try:
            opened = open_source(node, service, source, paper=paper)
            wanted = Wanted(_newest(service, opened))
            done[service] = _bring(node, service, opened, wanted, to=to and to / service, dry_run=dry_run)
        except ApplianceError as error:
            failed[service] = error
    _tell_node(done, failed, dumps, before)
    if failed:
        return list(failed.values())[-1].exit_code
    return WARNINGS if dumps or any(it.code for it in done.values()) else None


def _is_back(restores: Path) -> bool:
    """Whether everything of a service was brought back in place here, and that was not undone."""
    return any(job.in_place and not job.paths and job.state == "done" for job in jobs(restores))


def _tell_node(
    done: Mapping[str, Brought], failed: Mapping[str, ApplianceError], dumps: Sequence[str], before: Sequence[str]
) -> None:
    sentences = {name: str(error) for name, error in failed.items()}
    data = {name: it.data for name, it in done.items()}
    lines = [f"{name}: {it.text}" for name, it in done.items()] + [
        f"{name} was brought back before." for name in before
    ]
    emit(
        {"services": data, "failed": sentences, "databases_left": list(dumps), "before": list(before)},
        "\n".join(lines) or "Nothing was brought back.",
    )
    for name, sentence in sentences.items():
        say(f"{name}: {sentence}")
    for name in dumps:
        line = command("restore", "all", "--service", name, "--to", "DIR")
        say(f"{name} is a database: bring its dump with {line}, then load it.")


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


@restore.command()
@dry_run_option
def forget(dry_run: bool) -> None:
    """Remove what restores replaced 30 days ago or earlier, counted in days that this machine was up.

    A host does this every day, as an account that may remove what belongs to others.
    """
    node = this_node()
    age, act = node.ageing.now(), expired if dry_run else expire
    services = [path.name for path in sorted((node.layout.root / "services").glob("*"))]
    found = {name: gone for name in services if (gone := act(node.service(name).restores, age_seconds=age))}
    if not dry_run:
        for name, gone in found.items():
            node.journal.write("restores-expired", service=name, jobs=len(gone))
    count = sum(map(len, found.values()))
    emit(
        {"forgotten": found, "written": not dry_run}, f"{count} restores {'would be' if dry_run else 'are'} forgotten."
    )


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
    _check_place(to, in_place)
    if number is not None and archive is not None:
        raise UsageError("a version and an archive were given.", remedy="Give --version or --archive, not both.")
    path = path.strip("/")
    node = this_node()
    name = service or only_service(node)
    opened = open_source(node, name, source, paper=paper)
    if archive:
        return _carry_out(node, name, opened, Wanted(archive, path), to=to, dry_run=dry_run)
    with catalogue_of(name, opened) as catalogue:
        version = _version(known_versions(catalogue, path, name), number or 1)
        _check_kind(path, version.kind, folder=folder)
        wanted = Wanted(version.archive, path, search.contents_of(catalogue, version.archive, path))
    return _carry_out(node, name, opened, wanted, to=to, dry_run=dry_run)


def _check_place(to: Path | None, in_place: bool) -> None:
    if (to is None) != in_place:
        raise UsageError("a restore goes to a folder or in place.", remedy="Give either --to DIR or --in-place.")


def _newest(service: str, opened: OpenedSource) -> str:
    found = Borg(opened.repository).archives()
    if not found:
        raise NotFound(f"{service} has no archive yet.", remedy=f"Type {command('backup', 'run', service)}.")
    return found[-1].name


@dataclass(frozen=True)
class Brought:
    """What a restore did, or would do: for programs, for people, and the exit code."""

    data: dict[str, Any]
    text: str
    code: int | None = None


def _carry_out(
    node: Node, service: str, opened: OpenedSource, wanted: Wanted, *, to: Path | None, dry_run: bool
) -> int | None:
    """Restore `wanted` to the folder `to` or, without, in place, and tell it."""
    done = _bring(node, service, opened, wanted, to=to, dry_run=dry_run)
    emit(done.data, done.text)
    if to is None and not dry_run:
        say(f"Next, if that was wrong: {command('restore', 'undo', done.data['job'], '--service', service)}")
    return done.code


def _bring(
    node: Node, service: str, opened: OpenedSource, wanted: Wanted, *, to: Path | None, dry_run: bool
) -> Brought:
    target = to.absolute() if to else PLACE_OF_PATHS
    restored = str(target / wanted.path)
    if dry_run:
        contents = wanted.known or contents_of(Borg(opened.repository), wanted.archive, wanted.paths)
        entries, size = contents.entries, contents.size
        shown = {"archive": wanted.archive, "restored": restored, "entries": entries, "size_bytes": size}
        return Brought(shown, f"{printable(restored)}: {entries} entries, {format_bytes(size)} would be restored.")
    job = _restore(node, service, opened, wanted, target=target, in_place=to is None)
    node.journal.write("restored", service=service, job=job.id, entries=job.entries, in_place=job.in_place)
    data = {**text.job_json(service, job), "restored": restored, "source": text.source_json(opened)}
    return Brought(data, text.job_text(job, restored), WARNINGS if job.warnings else None)


def _restore(node: Node, service: str, opened: OpenedSource, wanted: Wanted, *, target: Path, in_place: bool) -> Job:
    restores = node.service(service).restores
    with _reporting(service, wanted) as report:
        borg = Borg(opened.repository, report)
        job = _cut_short(restores, wanted, target, in_place=in_place) or plan(
            restores,
            borg,
            wanted.archive,
            wanted.paths,
            now=node.clock.now(),
            into=None if in_place else target,
            in_place=target if in_place else None,
            contents=wanted.known,
        )
        return run_job(restores, job.id, borg, age_seconds=node.ageing.now())


@contextmanager
def _reporting(service: str, wanted: Wanted) -> Iterator[Callable[[Progress], None] | None]:
    """To tell how far it is, borg reads all names of the archive once more first: too much for what is soon done
    or for nobody."""
    known = wanted.known
    soon_done = known and known.size < SOON_DONE_BYTES and known.entries < SOON_DONE_ENTRIES
    if soon_done or options().quiet:
        yield None
        return
    with progress(f"Restoring {service}") as advance:
        yield lambda seen: advance(seen.done_bytes, max(seen.total_bytes, seen.done_bytes + 1))


def _cut_short(restores: Path, wanted: Wanted, target: Path, *, in_place: bool) -> Job | None:
    """The same restore when it was asked before and cut: typing a command again goes on with it."""
    same = (wanted.archive, wanted.paths, target, in_place)
    for job in jobs(restores):
        if job.state in UNENDED and (job.archive, job.paths, job.target, job.in_place) == same:
            return job
    return None


def _version(found: tuple[Version, ...], number: int) -> Version:
    if number > len(found):
        raise NotFound(f"there are {len(found)} versions, no number {number}.", remedy="See `restore versions`.")
    return found[number - 1]


def _check_kind(path: str, kind: Kind, *, folder: bool) -> None:
    if (kind == "folder") != folder:
        verb = "folder" if kind == "folder" else "file"
        raise UsageError(f'"{path}" is a {kind}.', remedy=f"Type `appliance restore {verb}`.")


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
