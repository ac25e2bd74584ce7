"""What all restores do, whatever they bring: count, plan, carry out, tell how far it is; cut, they go on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from appliance.backup.filling import Filling, filling_of, lacking_of
from appliance.backup.node import Node
from appliance.backup.openable import OpenedSource
from appliance.borg.client import Borg
from appliance.borg.model import Progress
from appliance.cli import restore_text as text
from appliance.cli.arguments import FILE_TYPE
from appliance.cli.options import options
from appliance.cli.output import progress
from appliance.cli.restore_served import check_writable_here
from appliance.cli.restore_source import no_archive
from appliance.errors import WARNINGS, UsageError
from appliance.restore.contents import Contents
from appliance.restore.job import Job, jobs
from appliance.restore.jobs import contents_of, contents_with, plan
from appliance.restore.jobs import run as run_job
from appliance.units import format_bytes, format_count, printable

UNENDED = ("planned", "extracted", "kept")
PLACE_OF_PATHS = Path("/")  # archives hold absolute names without their first slash


@dataclass(frozen=True)
class Wanted:
    """What to restore: `path` ("" for everything) of `archive`; `known` is what the catalogue vouches for it to be.

    What the archive lacks there is "filled" from older ones, or only "told" where the archive was named.
    """

    archive: str
    path: str = ""
    known: Contents | None = None
    lacks: Literal["filled", "told", "ignored"] = "filled"

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,) if self.path else ()


def place_options[F: Callable[..., Any]](function: F) -> F:
    """--to or --in-place."""
    to = click.option("--to", metavar="DIR", type=FILE_TYPE, help="A folder that is empty or not there yet.")
    in_place = click.option("--in-place", is_flag=True, help="Where it was; what stands there is kept, `restore undo`.")
    return to(in_place(function))


def check_place(to: Path | None, in_place: bool) -> None:
    """Raise UsageError unless exactly one place was named."""
    if (to is None) != in_place:
        raise UsageError("a restore goes to a folder or in place.", remedy="Give either --to DIR or --in-place.")
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
    """What a restore did, or would do: for programs, for people, and the exit code."""

    data: dict[str, Any]
    text: str
    code: int | None = None


def bring(node: Node, service: str, opened: OpenedSource, wanted: Wanted, *, to: Path | None, dry_run: bool) -> Brought:
    """Restore `wanted` to the folder `to` or, without, in place; or count what that would be."""
    if to is None:
        check_writable_here(node, service)
    target = to.absolute() if to else PLACE_OF_PATHS
    restored = str(target / wanted.path)
    filled = _filling(service, Borg(opened.repository), wanted)
    told = text.filled_text(filled.fills, filled.nowhere)
    partial = WARNINGS if told else None
    if dry_run:
        contents = _contents(Borg(opened.repository), wanted, filled)
        entries, size = contents.entries, contents.size
        shown = {"archive": wanted.archive, "restored": restored, "entries": entries, "size_bytes": size}
        what = f"{format_count(entries, 'entry', 'entries')}, {format_bytes(size)}"
        lines = "\n".join((f"{printable(restored)}: {what} would be restored.", *told))
        return Brought(shown | text.filled_json(filled.fills, filled.nowhere), lines, partial)
    job = _restore(node, service, opened, wanted, filled, target=target, in_place=to is None)
    node.journal.write("restored", service=service, job=job.id, entries=job.entries, in_place=job.in_place)
    data = {**text.job_json(service, job), "restored": restored, "source": text.source_json(opened)}
    data |= text.filled_json(job.fills, filled.nowhere)
    lines = "\n".join((text.job_text(job, restored), *text.filled_text(job.fills, filled.nowhere)))
    return Brought(data, lines, WARNINGS if job.warnings else partial)


def _filling(service: str, borg: Borg, wanted: Wanted) -> Filling:
    """What a partial archive lacks of what is wanted."""
    if wanted.lacks == "ignored":
        return Filling()
    if wanted.lacks == "told":
        return Filling(nowhere=lacking_of(borg, service, wanted.archive, wanted.path))
    return filling_of(borg, service, wanted.archive, wanted.path)


def _contents(borg: Borg, wanted: Wanted, filled: Filling) -> Contents:
    if filled.fills:
        return contents_with(borg, wanted.archive, wanted.paths, filled.fills)
    return wanted.known or contents_of(borg, wanted.archive, wanted.paths)


def _restore(
    node: Node, service: str, opened: OpenedSource, wanted: Wanted, filled: Filling, *, target: Path, in_place: bool
) -> Job:
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
            fills=filled.fills,
        )
        return run_job(restores, job.id, borg, age_seconds=node.ageing.now())


@contextmanager
def _reporting(service: str, wanted: Wanted) -> Iterator[Callable[[Progress], None] | None]:
    """To tell how far it is, borg reads all names of the archive once more first: too much for what is soon done
    or for nobody."""
    if (wanted.known and wanted.known.soon_done) or options().quiet:
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
