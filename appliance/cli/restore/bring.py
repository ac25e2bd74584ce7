"""The steps of all restores, whatever they bring: count, plan, carry out, tell how far it is; cut, they go on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import click

from appliance.backup.peers.openable import OpenedSource
from appliance.backup.writer.filling import Filling, filling_of, lacking_of
from appliance.backup.writer.source_names import GENERATION
from appliance.borg.client import Borg
from appliance.borg.contents import Contents
from appliance.borg.model import Progress
from appliance.cli.arguments import FILE_TYPE, command
from appliance.cli.options import options
from appliance.cli.output import progress, say
from appliance.cli.renamed import RenamedOption
from appliance.cli.restore import text
from appliance.cli.restore.served import check_writable_here
from appliance.cli.restore.source import no_archive, open_source
from appliance.errors import WARNINGS, NotFound, Refused, UsageError
from appliance.node.handle import Node
from appliance.restore.job import NOT_TYPED, Job, Typed
from appliance.restore.jobs import contents_of, contents_with, plan
from appliance.restore.jobs import run as run_job
from appliance.restore.unended import give_up_words, going_on, in_the_way, line_of
from appliance.units import format_bytes, format_count, printable

PLACE_OF_PATHS = Path("/")  # archives hold absolute names without their first slash


@dataclass(frozen=True)
class Wanted:
    """The files to restore: `path` ("" for everything) of `archive`; `known` is the contents that the catalogue vouches
    for, and `typed` the words that were typed for it.

    Files that the archive lacks there are "filled" from older ones, or only "told" where that was named; "ignored"
    where it is known to have them, unless that is a database that could not be copied.
    """

    archive: str
    path: str = ""
    known: Contents | None = None
    lacks: Literal["filled", "told", "ignored"] = "filled"
    typed: Typed = NOT_TYPED
    force: bool = False
    """Whether files that somebody has open are replaced, too."""

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,) if self.path else ()


def place_options[F: Callable[..., Any]](function: F) -> F:
    """--to or --in-place, the latter also where files are open."""
    to = click.option("--to", metavar="DIR", type=FILE_TYPE, help="A folder that is empty or does not exist yet.")
    in_place = click.option(
        "--in-place", is_flag=True, help="To its original place; what is there now is kept for `restore undo`."
    )
    return to(in_place(force_option(function)))


force_option = click.option(
    "--force", cls=RenamedOption, formerly="--anyway", is_flag=True, help="Also replace files that are open."
)


def check_place(to: Path | None, in_place: bool) -> None:
    """Raise UsageError unless exactly one place was named."""
    if (to is None) != in_place:
        raise UsageError("a restore needs exactly one destination.", remedy="Give either --to DIR or --in-place.")
    if to is not None:
        _check_folder(to)


def _check_folder(to: Path) -> None:
    """Raise UsageError where no folder can be, before anything is opened: a lack of room would be told, of 64 MiB."""
    above = next(it for it in (to, *to.absolute().parents) if os.path.lexists(it))
    if not above.is_dir():
        raise UsageError(
            f"{above} is a file, not a folder.", remedy="Name a folder that is empty or does not exist yet."
        )
    if os.statvfs(above).f_blocks == 0:
        raise UsageError(f"nothing can be stored below {above}.", remedy="Name a folder on a disk.")


def newest(node: Node, service: str, opened: OpenedSource) -> str:
    """The name of the newest archive; raise NotFound where there is none."""
    found = Borg(opened.repository).archives()
    if not found:
        raise no_archive(node, service, opened)
    return found[-1].name


@dataclass(frozen=True)
class Brought:
    """The result of a restore, done or planned: for programs, for people, and the exit code."""

    data: dict[str, Any]
    text: str
    code: int | None = None


def words_of_place(to: Path | None) -> tuple[str, ...]:
    """The options that name the place, wherever they are typed."""
    return ("--in-place",) if to is None else ("--to", str(to.absolute()))


def begun(node: Node, service: str, asked: str, to: Path | None) -> Job | None:
    """The restore that was asked for in the same words before and has not ended: it keeps the archive it began with."""
    target = to.absolute() if to else PLACE_OF_PATHS
    return going_on(node.service(service).restores, asked, target, in_place=to is None)


def bring(
    node: Node,
    service: str,
    opened: OpenedSource,
    wanted: Wanted,
    *,
    to: Path | None,
    dry_run: bool,
    paper: bool = False,
) -> Brought:
    """Restore `wanted` to the folder `to` or, without, in place; or count what that would be.

    A restore that was cut goes on, from the generation that it began with where its archive was forgotten since.
    """
    if to is None:
        check_writable_here(node, service)
    target = to.absolute() if to else PLACE_OF_PATHS
    restored = str(target / wanted.path)
    cut = _cut_short(node, service, wanted, target, in_place=to is None)
    if cut:
        opened = _with_its_archive(node, service, opened, cut, paper=paper)
        wanted = replace(wanted, archive=cut.archive)
    filled = _filling(node, service, Borg(opened.repository), wanted)
    filled = replace(filled, fills=cut.fills) if cut else filled  # it goes on with what it began with
    told = text.filled_text(service, filled)
    without = text.accepted_text(filled.accepted)
    partial = WARNINGS if told else None
    if dry_run:
        contents = _contents(Borg(opened.repository), wanted, filled)
        entries, size = contents.entries, contents.size
        shown = {"archive": wanted.archive, "restored": restored, "entries": entries, "size_bytes": size}
        what = f"{format_count(entries, 'entry', 'entries')}, {format_bytes(size)}"
        lines = "\n".join((f"{printable(restored)}: {what} would be restored.", *told, *without))
        return Brought(shown | text.filled_json(filled), lines, partial)
    job = _restore(node, service, opened, wanted, filled, cut, target=target, in_place=to is None)
    node.journal.write("restored", service=service, job=job.id, entries=job.entries, in_place=job.in_place)
    data = {**text.job_json(service, job), "restored": restored, "source": text.source_json(opened)}
    filled = replace(filled, fills=job.fills)
    data |= text.filled_json(filled)
    lines = "\n".join((text.job_text(job, restored), *text.filled_text(service, filled), *without))
    return Brought(data, lines, WARNINGS if job.warnings else partial)


def _cut_short(node: Node, service: str, wanted: Wanted, target: Path, *, in_place: bool) -> Job | None:
    """The same restore when it was asked before and has not ended."""
    restores, asked = node.service(service).restores, wanted.typed.asked
    return going_on(restores, asked, target, in_place=in_place) if asked else None


def _filling(node: Node, service: str, borg: Borg, wanted: Wanted) -> Filling:
    """Return the files that a partial archive lacks of those that are wanted."""
    if wanted.lacks == "ignored":
        copied = node.bundle.last_terms(service).service.kind == "sqlite"
        return Filling(raw=lacking_of(borg, service, wanted.archive, wanted.path).raw) if copied else Filling()
    if wanted.lacks == "told":
        return lacking_of(borg, service, wanted.archive, wanted.path)
    return filling_of(borg, service, wanted.archive, wanted.path)


def _contents(borg: Borg, wanted: Wanted, filled: Filling) -> Contents:
    if filled.fills:
        return contents_with(borg, wanted.archive, wanted.paths, filled.fills)
    return wanted.known or contents_of(borg, wanted.archive, wanted.paths)


def _restore(
    node: Node,
    service: str,
    opened: OpenedSource,
    wanted: Wanted,
    filled: Filling,
    cut: Job | None,
    *,
    target: Path,
    in_place: bool,
) -> Job:
    restores = node.service(service).restores
    if other := in_the_way(restores, wanted.paths, target, begun=cut):
        ending = command(*line_of(service, other))
        raise Refused(
            f"the restore {other.id} writes to that place and has not finished.",
            remedy=f"Finish it: `{ending}`. Or give it up: `{give_up_line(service, other)}`.",
        )
    if cut:
        say(f"The restore {cut.id} is continued, from {cut.archive}. To start a new one: {give_up_line(service, cut)}")
    with _reporting(service, wanted) as report:
        borg = Borg(opened.repository, report)
        job = cut or plan(
            restores,
            borg,
            wanted.archive,
            wanted.paths,
            now=node.clock.now(),
            age_seconds=node.ageing.now(),
            into=None if in_place else target,
            in_place=target if in_place else None,
            contents=wanted.known,
            fills=filled.fills,
            typed=replace(wanted.typed, generation=opened.generation),
        )
        return run_job(restores, job.id, borg, age_seconds=node.ageing.now(), force=wanted.force)


def give_up_line(service: str, job: Job) -> str:
    return command(*give_up_words(service, job))


def _with_its_archive(node: Node, service: str, opened: OpenedSource, job: Job, *, paper: bool) -> OpenedSource:
    """Where the archive of `job` is: in what was opened, or in the generation with which it began."""
    if not set(job.archives) - {it.name for it in Borg(opened.repository).archives()}:
        return opened
    if job.typed.generation and job.typed.generation != opened.generation:
        older = open_source(node, service, f"{GENERATION}{job.typed.generation}", paper=paper)
        if not set(job.archives) - {it.name for it in Borg(older.repository).archives()}:
            return older
    raise NotFound(
        f"the restore {job.id} has not finished, and its archive {job.archive} does not exist any more.",
        remedy=f"Give it up: `{give_up_line(service, job)}`. Then repeat the command{_elsewhere(job)}.",
    )


def _elsewhere(job: Job) -> str:
    """Files that came out of a restore that is given up stay in its folder, and a restore goes to one that is empty."""
    return "" if job.in_place else ", to another folder"


@contextmanager
def _reporting(service: str, wanted: Wanted) -> Iterator[Callable[[Progress], None] | None]:
    """To tell how far it is, borg reads all names of the archive once more first: too much for what is soon done
    or for nobody."""
    if (wanted.known and wanted.known.soon_done) or options().quiet:
        yield None
        return
    with progress(f"Restoring {service}") as advance:
        yield lambda seen: advance(seen.done_bytes, max(seen.total_bytes, seen.done_bytes + 1))
