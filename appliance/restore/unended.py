"""Restores that have not ended: with which one a line that is typed again goes on, which archives they need, and which
one is in the way of another; what is typed to end one or to give it up.

A restore belongs to what was asked, not to an archive's name: "the newest" is another archive after each backup, and
"version 3" after each change. So a job keeps the archive that it began with, and goes on from that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from appliance.errors import Busy
from appliance.host.files import locked
from appliance.restore.job import UNENDED, Job, folder_of, jobs


def asked_for(path: str = "", version: int | None = None, archive: str | None = None) -> str:
    """The same text for the same question; without a path it is about everything."""
    return json.dumps([path, version, archive])


def unended(restores: Path) -> Iterator[Job]:
    """Those that were cut or are at work, oldest first."""
    return (job for job in jobs(restores) if job.state in UNENDED)


def going_on(restores: Path, asked: str, target: Path, *, in_place: bool) -> Job | None:
    """The job that asked the same for the same place and has not ended."""
    return that_asks(unended(restores), asked, target, in_place=in_place)


def that_asks(among: Iterable[Job], asked: str, target: Path, *, in_place: bool) -> Job | None:
    """The same of jobs that have not ended. Pure."""
    for job in among:
        if job.typed.asked == asked and (job.target, job.in_place) == (target, in_place):
            return job
    return None


def line_of(service: str, job: Job) -> tuple[str, ...]:
    """The words, without the program's name, that end a restore which has not ended."""
    if job.typed.line:
        return job.typed.line
    if len(job.paths) > 1:  # only the pages ask for several at once
        return ("internal", "restore", "process-requests")
    place = ("--in-place",) if job.in_place else ("--to", str(job.target))
    what = ("folder", *job.paths) if job.paths else ("all",)
    return ("restore", *what, "--archive", job.archive, "--service", service, *place)


def give_up_words(service: str, job: Job) -> tuple[str, ...]:
    """The words, without the program's name, that give it up."""
    return ("restore", "give-up", job.id, "--service", service)


def pinned(restores: Path) -> frozenset[str]:
    """The archives that must not be forgotten, since a restore that has not ended needs them."""
    return needed(unended(restores))


def needed(among: Iterable[Job]) -> frozenset[str]:
    """The same of jobs that have not ended. Pure."""
    return frozenset(archive for job in among for archive in job.archives)


def in_the_way(
    restores: Path,
    paths: Sequence[str],
    target: Path,
    renamed: Mapping[str, str] | None = None,
    *,
    begun: Job | None = None,
) -> Job | None:
    """A job that put, or puts at this moment, some of its files where `paths` would come; both would make a mixture.

    One that is to come in place and is not at work has put nothing there yet, and is in nobody's way. So it may find
    another one in its own when it goes on as `begun`; once it put something there, nothing hinders it.
    """
    return that_puts_there(
        unended(restores),
        paths,
        target,
        renamed or {},
        begun=begun,
        is_at_work=lambda job: _is_at_work(restores, job),
    )


def that_puts_there(
    among: Iterable[Job],
    paths: Sequence[str],
    target: Path,
    renamed: Mapping[str, str],
    *,
    begun: Job | None,
    is_at_work: Callable[[Job], bool],
) -> Job | None:
    """The same of jobs that have not ended. Pure but for what it asks."""
    if begun and _put_something(begun):
        return None
    wanted = _places(paths, target, renamed)
    for job in among:
        is_there = (begun is None or job.id != begun.id) and (_put_something(job) or is_at_work(job))
        if is_there and _overlap(wanted, _places(job.paths, job.target, dict(job.renamed))):
            return job
    return None


def _put_something(job: Job) -> bool:
    return not job.in_place or job.state != "planned"


def _places(paths: Sequence[str], target: Path, renamed: Mapping[str, str]) -> tuple[Path, ...]:
    return tuple(target / renamed.get(path, path) for path in paths) or (target,)


def _overlap(some: Sequence[Path], others: Sequence[Path]) -> bool:
    return any(one.is_relative_to(other) or other.is_relative_to(one) for one in some for other in others)


def _is_at_work(restores: Path, job: Job) -> bool:
    try:
        with locked(folder_of(restores, job.id).lock, what=job.id):
            return False
    except Busy:
        return True
