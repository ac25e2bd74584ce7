"""Undo a restore, give one up that has not ended, and forget what restores replaced when its time is over.

Undoing destroys nothing either: what stands in place now, perhaps edited since, is kept in `undone`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.errors import Refused, UsageError
from appliance.host.files import locked
from appliance.restore.job import (
    UNENDED,
    Job,
    JobFolder,
    State,
    folder_of,
    jobs,
    load,
    load_changes,
    save,
    save_changes,
)
from appliance.restore.jobs import sync
from appliance.restore.place import clean_up, keep_all, move_away, named_errors, place_all, survey
from appliance.units import DAY

KEPT_SECONDS = 30 * DAY


def undo(restores: Path, job_id: str, *, age_seconds: int) -> Job:
    """Put back what the job replaced and take away what it made; return the job, undone. Safe to cut and to repeat.

    It ends once more at `age_seconds`, by the ageing clock: files set aside are kept as long as those that a restore
    replaces. Raise Refused when the job has not ended, UsageError when it was not in place.
    """
    folder = folder_of(restores, job_id)
    with locked(folder.lock, what=f"the restore {job_id}"):
        job = load(folder)
        if not job.in_place:
            raise UsageError("this restore replaced nothing.", remedy=f"Its files are in {job.target}.")
        if job.state in UNENDED:
            raise Refused("this restore has not finished.", remedy="Finish it, then undo it, or give it up.")
        return _undo(folder, job, age_seconds)


def give_up(restores: Path, job_id: str, *, age_seconds: int) -> Job:
    """Give up a restore that has not ended; return the job, given up. Safe to cut and to repeat.

    In place, what it had put there is taken away and what it had replaced comes back, both kept like those of an undo.
    In a folder, what came out so far stays. A file that came out of the archive and waited is removed: it is in the
    archive. Raise UsageError when the job has ended.
    """
    folder = folder_of(restores, job_id)
    with locked(folder.lock, what=f"the restore {job_id}"):
        job = load(folder)
        if job.state not in UNENDED and not job.given_up:
            raise UsageError("this restore has finished.", remedy="What it changed in place can be undone.")
        if job.state in UNENDED:
            job = _begin_giving_up(folder, job, age_seconds)
        job = _undo(folder, job, age_seconds)
        with contextlib.suppress(PermissionError, FileNotFoundError):
            _remove(folder.files)
        return job


def _begin_giving_up(folder: JobFolder, job: Job, age_seconds: int) -> Job:
    """A file that waits in the stage was not placed, whatever the plan says: the file in its place is somebody
    else's."""
    changes = load_changes(folder)
    if changes:
        clean_up(job.target, changes)
    placed = {path: it for path, it in changes.items() if it == "replace" or not os.path.lexists(folder.files / path)}
    save_changes(folder, placed)
    state: State = "undoing" if job.in_place else "given-up"
    return save(folder, dataclasses.replace(job, state=state, given_up=True, ended_age_seconds=age_seconds))


def _undo(folder: JobFolder, job: Job, age_seconds: int) -> Job:
    with named_errors(job.target):
        if job.state in ("done", "undoing"):
            job = _take_away(folder, dataclasses.replace(job, ended_age_seconds=age_seconds))
        if job.state == "returning":
            job = _put_back(folder, job)
    return job


def expire(restores: Path, *, age_seconds: int, kept_seconds: float = KEPT_SECONDS) -> tuple[str, ...]:
    """Remove the jobs that ended `kept_seconds` ago or more, by the ageing clock, with all they kept; their names.

    A job that has not ended is never removed. Files that were restored to a folder outside the job stay. A file that
    this account may not remove, for it belongs to others, is put aside, for a later call by one that may.
    """
    gone = expired(restores, age_seconds=age_seconds, kept_seconds=kept_seconds)
    for job in gone:
        folder = folder_of(restores, job)
        with locked(folder.lock, what=f"the restore {job}"):
            os.rename(folder.root, folder.root.with_name(f".{job}.expired"))
    for aside in restores.glob(".*.expired"):  # those, and what an earlier call could not remove or was cut at
        with contextlib.suppress(PermissionError):
            _remove(aside)
    return gone


def expired(restores: Path, *, age_seconds: int, kept_seconds: float = KEPT_SECONDS) -> tuple[str, ...]:
    """The jobs that `expire` would remove."""
    return tuple(job.id for job in jobs(restores) if is_over(job, age_seconds, kept_seconds))


def is_over(job: Job, age_seconds: int, kept_seconds: float = KEPT_SECONDS) -> bool:
    """Whether what `job` replaced has been kept for long enough. Pure."""
    return job.ended_age_seconds is not None and age_seconds - job.ended_age_seconds >= kept_seconds


def _take_away(folder: JobFolder, job: Job) -> Job:
    save(folder, dataclasses.replace(job, state="undoing"))
    for path, change in load_changes(folder).items():
        if change == "new":
            move_away(job.target, path, folder.undone)
    return save(folder, dataclasses.replace(job, state="returning"))


def _put_back(folder: JobFolder, job: Job) -> Job:
    if folder.replaced.exists():
        changes = survey(folder.replaced, job.target)
        keep_all(job.target, changes, folder.undone)
        sync(folder.root)
        place_all(folder.replaced, job.target, folder.undone, changes)
        sync(job.target)
    return save(folder, dataclasses.replace(job, state="given-up" if job.given_up else "undone"))


def _remove(folder: Path) -> None:
    """Remove `folder` with all in it, read-only folders included."""
    shutil.rmtree(folder, onexc=_open_and_retry)


def _open_and_retry(function: Callable[..., Any], path: str, _: BaseException) -> None:
    for folder in (os.path.dirname(path), path):
        if stat.S_ISDIR(os.lstat(folder).st_mode):
            os.chmod(folder, 0o700)
    if function in (os.rmdir, os.unlink):
        function(path)
    else:
        shutil.rmtree(path)
