"""Restore a file, a folder or everything, to a folder or in place; a restore that is cut goes on when it is run again.

The order is the safety. Nothing is written before the archive's paths were examined and the room counted. Extracted
files are durable before anything in place is touched; the files that they replace are kept, and that is durable, before
the first rename; `changes` is written before the first file is kept, so undo always knows everything. Each step is
repeated whole when it was cut, and repeating changes nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from appliance.borg.answers import is_below
from appliance.borg.archive_paths import paths_in_archive
from appliance.borg.client import Borg
from appliance.borg.contents import Contents, Examination, together
from appliance.borg.errors import PathMissing
from appliance.clock import utc_text
from appliance.errors import NoSpace, NotFound, UsageError
from appliance.host.command import run as run_command
from appliance.host.disks.opened import refuse_open
from appliance.host.files import fsync_folder, locked, make_private_folder, write_atomic
from appliance.restore import links
from appliance.restore.fill import Fill, by_archive, install_fills
from appliance.restore.job import NOT_TYPED, Job, JobFolder, Typed, folder_of, load, load_changes, save, save_changes
from appliance.restore.place import Change, TargetChanged, keep_all, named_errors, place_all, relocate, survey
from appliance.units import DAY, MIB, format_bytes

SPARE_BYTES = 64 * MIB
"""The space that must remain free on a disk after a restore."""
SYNC_EVERY_SECONDS = 1.0


def plan(
    restores: Path,
    borg: Borg,
    archive: str,
    paths: Sequence[str],
    *,
    now: float,
    age_seconds: int | None = None,
    into: Path | None = None,
    in_place: Path | None = None,
    contents: Contents | None = None,
    renamed: Mapping[str, str] | None = None,
    fills: Sequence[Fill] = (),
    typed: Typed | None = None,
) -> Job:
    """Prepare the restore of `paths` (none: everything) of `archive` and keep it as a job, without restoring yet.

    `into` is a folder that is empty or not there; by default it is the job's own. `in_place` is the folder to which
    the paths of the archive are relative; folders that exist there keep their own attributes. `now` is in UTC seconds,
    `age_seconds` by the ageing clock.
    Raise PathMissing, NoSpace (saying how much is missing), IntegrityError for an archive whose paths would leave
    their folder, UsageError for a target that cannot be one.

    `contents` is what a catalogue vouches for `paths` to be (`search.contents_of`); the archive is then not listed.
    `renamed` puts paths elsewhere in place than where they were. `fills` are paths that `archive` lacks, each with the
    archive that it comes from; nothing of `archive` lies there. `typed` is what a person typed for it.
    """
    _check_target(into, in_place)
    paths = _normal(paths)
    contents = contents_with(borg, archive, paths, fills) if fills else contents or contents_of(borg, archive, paths)
    check_room(restores if in_place else into or restores, contents.size)
    if in_place is not None and not _on_one_disk(in_place, paths, make_private_folder(restores)):
        check_room(_place_of(in_place, paths), contents.size)
    folder = _new_folder(restores, now)
    target = in_place or into or folder.files
    job = _job(folder, archive, paths, target, in_place is not None, contents, now)
    more = dataclasses.replace(job, renamed=tuple((renamed or {}).items()), fills=tuple(fills))
    return save(folder, dataclasses.replace(more, typed=typed or NOT_TYPED, begun_age_seconds=age_seconds))


def contents_of(borg: Borg, archive: str, paths: Sequence[str]) -> Contents:
    """Return what `paths` (none: everything) are in `archive`, by one listing. Raise PathMissing and IntegrityError."""
    return _examined(borg, archive, paths).contents()


def contents_with(borg: Borg, archive: str, paths: Sequence[str], fills: Sequence[Fill]) -> Contents:
    """The same with `fills`, examined as one tree: what one archive brings must not lead another one elsewhere."""
    there = _there(borg, archive, paths, fills)
    main = [_examined(borg, archive, there)] if there or not paths else []
    return together([*main, *(_examined(borg, name, below) for name, below in by_archive(fills).items())])


def _examined(borg: Borg, archive: str, paths: Sequence[str]) -> Examination:
    seen = borg.examined(archive, paths)
    missing = [path for path in paths if path not in seen.found]
    if not "".join(missing).isascii():  # in a listing, a byte that is not UTF-8 is another letter
        seen = borg.examined(archive, paths, exact=True)
        missing = [path for path in paths if path not in seen.found]
    if missing:
        raise PathMissing(f'"{missing[0]}" is not in the archive {archive}.')
    return seen


def run(restores: Path, job_id: str, borg: Borg, *, age_seconds: int, force: bool = False) -> Job:
    """Carry the job out from where it stands, and return it done; a job that is done is left.

    `age_seconds` is the ageing clock's: what the job replaced is kept for 30 days from then. Raise Refused when a
    folder to restore is a symlink in place, TargetChanged when somebody changes the target at that very time, FilesOpen
    while somebody has a file open that would be replaced, without `force`.
    """
    folder = folder_of(restores, job_id)
    with locked(folder.lock, what=f"the restore {job_id}"):
        job = load(folder)
        with named_errors(job.target):
            if job.state == "planned":
                job = _extract(folder, job, borg)
            if job.state == "extracted" and job.in_place:
                job = _keep(folder, job, force=force)
            if job.state == "kept":
                job = _place(folder, job)
        if job.state in ("extracted", "kept"):
            job = save(folder, dataclasses.replace(job, state="done", ended_age_seconds=age_seconds))
        return job


def changes_of(restores: Path, job_id: str) -> dict[str, Change]:
    """Return the paths that the job makes or replaces in place, each with its change."""
    return load_changes(folder_of(restores, job_id))


def sync(folder: Path) -> None:
    """Make everything written to the disk of `folder` durable, file contents included."""
    run_command(("sync", "--file-system", str(folder)), timeout_seconds=DAY, check=True)


@contextlib.contextmanager
def syncing(folder: Path) -> Iterator[None]:
    """The same for what the block writes, begun while it writes: borg keeps a core busy and the disk idle.

    The kernel tells an error of the disk once, so one that an early call was told is raised here.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(_sync_until, ended, folder)
        try:
            yield
        finally:
            ended.set()
        early.result()
    sync(folder)


def _sync_until(ended: threading.Event, folder: Path) -> None:
    while not ended.wait(SYNC_EVERY_SECONDS):
        sync(folder)


def _extract(folder: JobFolder, job: Job, borg: Borg) -> Job:
    stage = folder.files if job.in_place else job.target
    with syncing(stage):
        paths = _there(borg, job.archive, job.paths, job.fills)
        everything = not job.paths
        warnings = borg.extract(job.archive, paths, stage) if paths or everything else ()
        if job.fills:
            warnings += install_fills(borg, job.archive, job.fills, stage)
    kept = tuple((warning.path, warning.reason) for warning in warnings)
    return save(folder, dataclasses.replace(job, state="extracted", warnings=kept))


def _there(borg: Borg, archive: str, paths: Sequence[str], fills: Sequence[Fill]) -> tuple[str, ...]:
    """Those of `paths` that `archive` must have: one that comes wholly from an older one need not be in it."""
    filled = [path for path in paths if any(is_below(path, fill.path) for fill in fills)]
    absent = {*filled} - paths_in_archive(borg, archive, filled) if filled else set()
    return tuple(path for path in paths if path not in absent)


def _keep(folder: JobFolder, job: Job, *, force: bool) -> Job:
    if not folder.links.exists():  # the stage is whole until the first file is placed
        for path, place in job.renamed:
            relocate(folder.files, path, place)
        write_atomic(folder.links, links.to_json(links.groups_of(folder.files)), mode=0o600)
    changes = _merged(load_changes(folder), survey(folder.files, job.target))
    if not force:
        check_closed(job.target, (path for path, change in changes.items() if change == "replace"), "the restore")
    if not _on_one_disk(job.target, job.paths, folder.root):
        check_room(
            folder.root, sum(_size(job.target / path) for path, change in changes.items() if change == "replace")
        )
    save_changes(folder, changes)
    keep_all(job.target, changes, folder.replaced)
    sync(folder.root)
    return save(folder, dataclasses.replace(job, state="kept"))


def check_closed(live: Path, paths: Iterable[str], what: str) -> None:
    """Raise FilesOpen, with the first names, while somebody has one of `paths` open that `what` would replace."""
    remedy = "It continues in place. With --force, later saves into open files go to the copies that are kept."
    refuse_open(live, paths, what, remedy)


def _place(folder: JobFolder, job: Job) -> Job:
    try:
        place_all(folder.files, job.target, folder.replaced, load_changes(folder))
    except TargetChanged:
        save(folder, dataclasses.replace(job, state="extracted"))  # the next run surveys and keeps again
        raise
    links.join(job.target, links.from_json(folder.links.read_bytes()))
    sync(job.target)
    return job


def _merged(before: dict[str, Change], after: dict[str, Change]) -> dict[str, Change]:
    """Once something was kept for a path it stays "replace": what the first survey saw may be moved aside by now."""
    return {**after, **{path: change for path, change in before.items() if change == "replace" or path not in after}}


def _normal(paths: Sequence[str]) -> tuple[str, ...]:
    """As the archive names them: without slashes at the ends. "." is everything."""
    stripped = tuple(path.strip("/") for path in paths)
    return () if any(path in ("", ".") for path in stripped) else stripped


def _check_target(into: Path | None, in_place: Path | None) -> None:
    if into is not None and in_place is not None:
        raise UsageError("a restore goes either to a folder or in place, not both.")
    if in_place is not None and not in_place.is_dir():
        raise NotFound(f"the folder {in_place} does not exist.", remedy="Create it, or restore to another folder.")
    if into is not None and into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise UsageError(f"{into} is not empty.", remedy="Name a folder that does not exist yet.")


def _new_folder(restores: Path, now: float) -> JobFolder:
    """Jobs are named after the second they were asked in, and a number when it was the same second."""
    make_private_folder(restores)
    stamp = utc_text(now).replace(":", "").replace("-", "")
    for number in range(1_000_000):
        folder = JobFolder(restores / (f"{stamp}-{number}" if number else stamp))
        try:
            folder.root.mkdir(mode=0o700)
        except FileExistsError:
            continue
        fsync_folder(restores)
        return folder
    raise AssertionError("unreachable")


def _job(
    folder: JobFolder,
    archive: str,
    paths: tuple[str, ...],
    target: Path,
    in_place: bool,
    contents: Contents,
    now: float,
) -> Job:
    return Job(
        id=folder.root.name,
        archive=archive,
        paths=paths,
        target=target.absolute(),
        in_place=in_place,
        state="planned",
        entries=contents.entries,
        size=contents.size,
        created_utc_seconds=now,
    )


def check_room(folder: Path, needed: int) -> None:
    while not folder.exists():
        folder = folder.parent
    disk = os.statvfs(folder)
    missing = needed + SPARE_BYTES - disk.f_bavail * disk.f_frsize
    if missing > 0:
        raise NoSpace(
            f"{format_bytes(missing)} more must be free on the disk of {folder} to restore {format_bytes(needed)}.",
            remedy="Free that much, or restore to another disk.",
        )


def _on_one_disk(live: Path, paths: Sequence[str], other: Path) -> bool:
    return _place_of(live, paths).stat().st_dev == other.stat().st_dev


def _place_of(live: Path, paths: Sequence[str]) -> Path:
    """A folder on the disk that `paths` come to lie on: where the live root is "/", shares are on another one."""
    place = live / paths[0] if paths else live
    while not place.is_dir():
        place = place.parent
    return place


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
