"""A restore job as it is kept on disk: the program that runs it again goes on where it stopped.

restores/JOB/
  job.json    this file: what, where to, how far
  files/      what came out of the archive, until it is put in place; the default target of a job that is not in place
  changes     each path that is put in place, and whether it is new or replaces something
  links       which of them are names of one file
  replaced/   the files that were there before, kept for 30 days
  undone/     the files that were there when the job was undone
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from appliance.errors import NotFound
from appliance.host.files import write_atomic
from appliance.host.records import Record
from appliance.restore.fill import Fill
from appliance.restore.place import Change

State = Literal["planned", "extracted", "kept", "done", "undoing", "returning", "undone", "given-up"]
"""planned → extracted → (in place: kept) → done → undoing (what is new goes) → returning (what was there) → undone.
One that has not ended may be given up instead: in place by undoing what was done of it, elsewhere as it is."""

UNENDED: frozenset[State] = frozenset({"planned", "extracted", "kept"})


@dataclass(frozen=True)
class Typed:
    """The words that a person typed. `asked` is the same for all lines that ask the same, whichever archive they mean
    by now."""

    asked: str = ""
    line: tuple[str, ...] = ()
    """The words to type again, without the program's name."""
    generation: str = ""
    """The generation that was opened for it, such as "2.7"; "" for the repository written here."""


NOT_TYPED = Typed()


@dataclass(frozen=True)
class Job:
    """One restore of `paths` (none: everything) of `archive`.

    With `in_place`, what the archive has at "a/b" is put at `target`/a/b; without, it is extracted to `target`.
    `ended_age_seconds` is when it ended by the ageing clock, None until then.
    """

    id: str
    archive: str
    paths: tuple[str, ...]
    target: Path
    in_place: bool
    state: State
    entries: int
    size: int
    created_utc_seconds: float
    warnings: tuple[tuple[str, str], ...] = ()
    """(path, reason) of what could not be restored as it was."""
    ended_age_seconds: int | None = None
    renamed: tuple[tuple[str, str], ...] = ()
    """(path in the archive, where it is put instead): what comes back beside what stands there now."""
    fills: tuple[Fill, ...] = ()
    """The files that a partial archive lacks, and the archives that they are taken from."""
    typed: Typed = NOT_TYPED
    """Empty for what nobody typed, such as an order of the pages."""
    given_up: bool = False
    """Whether what an undo takes back is a restore that never ended."""
    begun_age_seconds: int | None = None
    """When it began by the ageing clock."""

    @property
    def archives(self) -> tuple[str, ...]:
        """All that the job still reads: none of them may be forgotten before everything came out of it."""
        if self.state != "planned":
            return ()
        return tuple(dict.fromkeys((self.archive, *(fill.archive for fill in self.fills))))


@dataclass(frozen=True)
class JobFolder:
    """Where a job keeps what."""

    root: Path

    @property
    def file(self) -> Path:
        return self.root / "job.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def files(self) -> Path:
        return self.root / "files"

    @property
    def changes(self) -> Path:
        return self.root / "changes"

    @property
    def links(self) -> Path:
        return self.root / "links"

    @property
    def replaced(self) -> Path:
        return self.root / "replaced"

    @property
    def undone(self) -> Path:
        return self.root / "undone"


JOB = Record(
    Job,
    1,
    "this restore cannot be read",
    "No archive is deleted meanwhile. Move its folder aside: it contains what the restore replaced.",
    defaults=True,
)


def folder_of(restores: Path, job_id: str) -> JobFolder:
    """The folder of a job; raise NotFound for a name that is no job's."""
    folder = JobFolder(restores / job_id)
    if "/" in job_id or job_id.startswith(".") or not folder.file.is_file():
        raise NotFound(f'there is no restore "{job_id}".', remedy="List the restores to see their names.")
    return folder


def save(folder: JobFolder, job: Job) -> Job:
    """Keep `job` durably and return it."""
    JOB.save(folder.file, job)
    return job


def load(folder: JobFolder) -> Job:
    """Raise IntegrityError when the file is not a job of a format we know."""
    job = JOB.read(folder.file)
    return replace(job, target=_target(folder, job.target))


def _target(folder: JobFolder, written: Path) -> Path:
    """A job that keeps its files has them in its folder, also where that lay elsewhere when it began."""
    return folder.files if written.parts[-2:] == folder.files.parts[-2:] else written


def load_changes(folder: JobFolder) -> dict[str, Change]:
    """Return what the job changes in place; nothing before it was surveyed."""
    try:
        changes: dict[str, Change] = json.loads(folder.changes.read_bytes())
    except FileNotFoundError:
        return {}
    return changes


def save_changes(folder: JobFolder, changes: dict[str, Change]) -> None:
    write_atomic(folder.changes, json.dumps(changes).encode(), mode=0o600)


def jobs(restores: Path) -> Iterator[Job]:
    """Every job, oldest first."""
    for file in sorted(restores.glob("[!.]*/job.json")):
        yield load(JobFolder(file.parent))
