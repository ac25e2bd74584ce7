"""`appliance restore file`, `folder` and `all`, and what became of restores: `jobs`, `undo`, `give-up`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import click

from appliance.backup.peers.openable import OpenedSource
from appliance.borg.model import Kind
from appliance.cli.arguments import command, dry_run_option
from appliance.cli.output import emit, say
from appliance.cli.restore import text
from appliance.cli.restore.bring import (
    Wanted,
    begun,
    bring,
    check_place,
    force_option,
    newest,
    place_options,
    words_of_place,
)
from appliance.cli.restore.options import paper_option, service_option, source_option, typed_source
from appliance.cli.restore.source import catalogue_of, known_versions, only_service, open_source, service_of
from appliance.cli.this_layout import this_layout
from appliance.cli.this_node import this_node
from appliance.clock import SystemClock
from appliance.errors import NotFound, UsageError
from appliance.host.ageing import AgeingClock
from appliance.host.journal import Journal
from appliance.node.handle import Node
from appliance.restore import search
from appliance.restore.job import UNENDED, Job, Typed, jobs
from appliance.restore.jobs import changes_of, check_closed
from appliance.restore.model import Version
from appliance.restore.undo import give_up as give_up_job
from appliance.restore.undo import undo as undo_job
from appliance.restore.unended import asked_for


def target_options[F: Callable[..., Any]](function: F) -> F:
    """--version or --archive, and --to or --in-place."""
    options = (
        click.option(
            "--version", "number", type=click.IntRange(min=1), help="The version, as `restore versions` numbers them."
        ),
        click.option("--archive", metavar="NAME", help="The archive to restore from."),
    )
    function = place_options(function)
    for option in reversed(options):
        function = option(function)
    return function


@click.command()
@click.argument("path")
@service_option
@target_options
@source_option
@paper_option
@dry_run_option
def file(path: str, **words: Any) -> int | None:
    """Restore the file PATH, by default its newest version, even if it was deleted."""
    return _restore_path(path, folder=False, **words)


@click.command()
@click.argument("path")
@service_option
@target_options
@source_option
@paper_option
@dry_run_option
def folder(path: str, **words: Any) -> int | None:
    """Restore the folder PATH and its content from the newest archive that has it."""
    return _restore_path(path, folder=True, **words)


@click.command("all")
@service_option
@click.option("--archive", metavar="NAME", help="The archive to restore from, by default the newest.")
@place_options
@source_option
@paper_option
@dry_run_option
def all_(
    service: str | None,
    archive: str | None,
    to: Path | None,
    in_place: bool,
    force: bool,
    source: str,
    paper: bool,
    dry_run: bool,
) -> int | None:
    """Restore all files of a service."""
    check_place(to, in_place)
    node = this_node()
    name = service or only_service(node)
    opened = open_source(node, name, source, paper=paper)
    given = ("--archive", archive) if archive else ()
    place = (*given, "--service", name, *words_of_place(to), *typed_source(source, paper=paper))
    typed = Typed(asked_for(archive=archive), ("restore", "all", *place))
    cut = begun(node, name, typed.asked, to)
    which = cut.archive if cut else archive or newest(node, name, opened)
    wanted = Wanted(which, lacks="told" if archive else "filled", typed=typed, force=force)
    return _carry_out(node, name, opened, wanted, to=to, dry_run=dry_run, paper=paper)


@click.command()
@click.argument("job")
@service_option
@force_option
@dry_run_option
def undo(job: str, service: str | None, force: bool, dry_run: bool) -> None:
    """Put back what the restore JOB replaced in place, and remove what it created; both are kept."""
    name, found = _job(job, service)
    layout = this_layout()
    restores = layout.service(name).restores
    if dry_run:
        changes = changes_of(restores, job)
        back = sorted(path for path, change in changes.items() if change == "replace")
        away = sorted(path for path, change in changes.items() if change == "new")
        shown = {**text.job_json(name, found), "put_back": back, "taken_away": away}
        emit(shown, f"{len(back)} would be put back, {len(away)} taken away.")
        return
    if not force:
        check_closed(found.target, changes_of(restores, job), "undoing the restore")
    age = AgeingClock(layout.ageing, SystemClock(), keep=False).now()
    done = undo_job(restores, job, age_seconds=age)
    emit(
        text.job_json(name, done),
        f"The restore {job} of {name} is undone; the files that it restored are kept with it.",
    )
    say(f"Next: {command('restore', 'jobs')}")


@click.command("give-up")
@click.argument("job")
@service_option
@dry_run_option
def give_up(job: str, service: str | None, dry_run: bool) -> None:
    """Give up the unfinished restore JOB: remove what it put in place and put back what was there.

    Both are kept, as by an undo. Files restored to a folder so far stay there.
    """
    name, found = _job(job, service)
    layout = this_layout()
    if found.state not in UNENDED and not found.given_up:
        raise UsageError(f"the restore {job} has already finished.", remedy=f"See {command('restore', 'jobs')}.")
    stays = "" if found.in_place else f" The files restored so far are in {found.target}."
    if dry_run:
        emit(text.job_json(name, found), f"The restore {job} of {name} would be given up.{stays}")
        return
    age = AgeingClock(layout.ageing, SystemClock(), keep=False).now()
    done = give_up_job(layout.service(name).restores, job, age_seconds=age)
    if found.state != "given-up":
        journal = Journal(layout.journal, SystemClock())
        journal.note("restore-given-up", service=name, job=job, entries=done.entries, in_place=done.in_place)
    emit(text.job_json(name, done), f"The restore {job} of {name} is given up.{stays}")
    say(f"Next: {command('restore', 'jobs')}")


@click.command("jobs")
@service_option
def jobs_(service: str | None) -> None:
    """List the restores of this node, oldest first; each can be undone for 30 days, and an interrupted one finished or
    given up."""
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
    force: bool,
    source: str,
    paper: bool,
    dry_run: bool,
) -> int | None:
    check_place(to, in_place)
    if number is not None and archive is not None:
        raise UsageError("both a version and an archive were given.", remedy="Give --version or --archive, not both.")
    path = path.strip("/")
    node = this_node()
    name = service or service_of(node, path)
    opened = open_source(node, name, source, paper=paper)
    which = (*(("--version", str(number)) if number else ()), *(("--archive", archive) if archive else ()))
    place = (*which, "--service", name, *words_of_place(to), *typed_source(source, paper=paper))
    typed = Typed(asked_for(path, number, archive), ("restore", "folder" if folder else "file", path, *place))
    cut = begun(node, name, typed.asked, to)
    if archive or cut:
        lacks = "told" if archive else _lacks(folder, number)
        wanted = Wanted(cut.archive if cut else archive or "", path, lacks=lacks, typed=typed, force=force)
        return _carry_out(node, name, opened, wanted, to=to, dry_run=dry_run, paper=paper)
    with catalogue_of(node, name, opened) as catalogue:
        known = known_versions(catalogue, path, name, typed_source(source, paper=paper))
        version = _version(known, number or 1)
        _check_kind(path, version.kind, folder=folder)
        contents = search.contents_of(catalogue, version.archive, path)
        wanted = Wanted(version.archive, path, contents, _lacks(folder, number), typed, force)
    return _carry_out(node, name, opened, wanted, to=to, dry_run=dry_run, paper=paper)


def _carry_out(
    node: Node, service: str, opened: OpenedSource, wanted: Wanted, *, to: Path | None, dry_run: bool, paper: bool
) -> int | None:
    """Restore `wanted` to the folder `to` or, without, in place, and tell it."""
    done = bring(node, service, opened, wanted, to=to, dry_run=dry_run, paper=paper)
    emit(done.data, done.text)
    if to is None and not dry_run:
        say(f"To undo it: {command('restore', 'undo', done.data['job'], '--service', service)}")
    return done.code


def _lacks(folder: bool, number: int | None) -> Literal["filled", "told", "ignored"]:
    """A file is restored from an archive that has it; a folder as it is now, or as it was."""
    if not folder:
        return "ignored"
    return "filled" if number is None else "told"


def _version(found: tuple[Version, ...], number: int) -> Version:
    if number > len(found):
        raise NotFound(
            f"there is no version {number}; the oldest is number {len(found)}.", remedy="See `restore versions`."
        )
    return found[number - 1]


def _check_kind(path: str, kind: Kind, *, folder: bool) -> None:
    if (kind == "folder") != folder:
        verb = "folder" if kind == "folder" else "file"
        raise UsageError(f'"{path}" is a {kind}.', remedy=f"Type `appliance restore {verb}`.")


def _jobs(service: str | None) -> Iterator[tuple[str, Job]]:
    layout = this_layout()
    names = [service] if service else sorted(path.name for path in layout.restores.glob("[!.]*"))
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
