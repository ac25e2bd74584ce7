"""Carry an order out, whatever happens to the process meanwhile: the same call goes on where it stopped.

An order becomes a restore job (`restore.jobs`), which has the safety: room counted first, nothing in place touched
before what it replaces is kept. For a download the job's files become one file or one zip, and then the job is gone.
Nothing that happens on the way is lost: a failure is a sentence with the order, and the order can be asked again.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from appliance.borg.client import Borg
from appliance.borg.contents import Contents
from appliance.borg.model import Progress
from appliance.borg.names import time_of
from appliance.errors import ApplianceError, Busy, Forbidden, NotFound, Refused, UsageError
from appliance.host.files import fsync_folder, locked, make_private_folder
from appliance.host.layout import RequestFolders
from appliance.restore.fill import Fill
from appliance.restore.job import Job, JobFolder, folder_of, load
from appliance.restore.jobs import check_room, contents_of, contents_with, plan, run
from appliance.restore.packing import pack
from appliance.restore.place import named_errors
from appliance.restore.request import (
    Reached,
    RequestFolder,
    RestoreRequest,
    Status,
    ask,
    check_request,
    load_status,
    request_folder,
    save_status,
    shown_status,
    tell,
)
from appliance.restore.request_intake import failed, heard, take_up
from appliance.restore.restored_names import free_name, french_moment, version_name
from appliance.restore.undo import undo

TELL_EVERY_SECONDS = 0.5


def no_raw(borg: Borg, request: RestoreRequest) -> tuple[tuple[str, str], ...]:
    return ()


@dataclass(frozen=True)
class RestoreEnv:
    """Where orders of one service are carried out. `live`: the folder to which paths in archives are relative.

    `open_borg` gets what to tell progress to, if anybody; it may fetch from peers first, and raise. `known` says
    what a catalogue vouches for; None when borg must list the archive. `fills`: what a partial archive lacks of the
    folders that are wanted, from older ones; `raw`: what it has of databases as `Status` tells it. `shares`: the
    folders of the service; `may_replace`: whether an act in force lets a whole share be replaced.
    """

    requests: RequestFolders
    restores: Path
    live: Path
    shares: Collection[str]
    may_replace: bool
    zone: ZoneInfo
    open_borg: Callable[[Callable[[Progress], None] | None], Borg]
    known: Callable[[RestoreRequest], Contents | None] = lambda request: None
    fills: Callable[[Borg, RestoreRequest], tuple[Fill, ...]] = lambda borg, request: ()
    raw: Callable[[Borg, RestoreRequest], tuple[tuple[str, str], ...]] = no_raw


def process(env: RestoreEnv, name: str, *, now: float, age_seconds: int) -> Status:
    """Carry the order out from where it stands and return how it ended; what has ended is left as it is."""
    folder = request_folder(env.requests, name)
    with locked(folder.lock, what=f"the restore {name}"):
        request = take_up(folder, age_seconds=age_seconds)
        status = heard(folder)
        if status.state not in ("waiting", "running"):
            return status
        try:
            with named_errors(folder.root):
                done = _process(env, folder, request, status, now, age_seconds)
        except (ApplianceError, OSError) as error:
            done = _failed(load_status(folder), error)
        done = save_status(folder, dataclasses.replace(done, step="", ended_age_seconds=age_seconds))
        if request.kind == "download" and done.state == "ready":
            discard(env.restores, done.job)
        return done


def ask_again(requests: RequestFolders, name: str) -> Status:
    """Ask, as the pages do, that an order that failed be carried out once more, from where it stopped."""
    folder = request_folder(requests, name)
    if shown_status(folder).state != "failed":
        raise UsageError("this restore did not fail.", remedy="See the list of restores.")
    ask(folder, "again")
    return shown_status(folder)


def undo_request(env: RestoreEnv, name: str, *, age_seconds: int, mark: str = "") -> Status:
    """Put back what the order replaced and take away what it brought; raise UsageError for a download.

    `mark` is by which the pages asked for it; it is heard once, whether it was done or refused. Raise Busy unheard.
    """
    folder = request_folder(env.requests, name)
    with locked(folder.lock, what=f"the restore {name}"):
        request = take_up(folder, age_seconds=age_seconds)
        status = dataclasses.replace(load_status(folder), heard_undo=mark)
        try:
            done = _undone(env, request, status, age_seconds)
        except Busy:
            raise
        except ApplianceError:
            save_status(folder, status)
            raise
        return save_status(folder, done)


def _undone(env: RestoreEnv, request: RestoreRequest, status: Status, age_seconds: int) -> Status:
    if request.kind == "download" or status.state not in ("ready", "undone"):
        raise UsageError("this restore changed nothing.", remedy="There is nothing to undo.")
    job = undo(env.restores, status.job, age_seconds=age_seconds)
    return dataclasses.replace(status, state="undone", ended_age_seconds=job.ended_age_seconds)


def _process(
    env: RestoreEnv, folder: RequestFolder, request: RestoreRequest, status: Status, now: float, age: int
) -> Status:
    _check(env, request)
    status = save_status(folder, dataclasses.replace(status, state="running", step="opening"))
    teller = _Teller(folder)
    known = env.known(request)
    borg = env.open_borg(None if known and known.soon_done else teller.extracting)
    if not status.job or not _is_there(env.restores, status.job):
        job = _planned(env, request, borg, known, now, age)
        older = tuple((fill.path, str(time_of(fill.archive))) for fill in job.fills)
        raw = env.raw(borg, request)
        status = dataclasses.replace(status, job=job.id, entries=job.entries, size=job.size, older=older, raw=raw)
    teller.total = status.size
    status = save_status(folder, dataclasses.replace(status, step="extracting"))
    # A whole share goes back by a signed act: a PC that keeps a file open must not stop that.
    job = run(env.restores, status.job, borg, age_seconds=age, force=request.whole_share)
    status = dataclasses.replace(status, left_out=job.warnings)
    if request.kind != "download":
        first = dict(job.renamed).get(request.paths[0], request.paths[0])
        return dataclasses.replace(status, state="ready", result=first)
    status = save_status(folder, dataclasses.replace(status, step="packing"))
    return _ready(env, folder, request, status, job, teller, now)


def _is_there(restores: Path, job: str) -> bool:
    """Whether the job can still be carried out: it was not removed, and nobody gave it up."""
    try:
        return not load(folder_of(restores, job)).given_up
    except NotFound:
        return False


def _check(env: RestoreEnv, request: RestoreRequest) -> None:
    """Check once more, by the program that has the powers: the author of the order may have been somebody else."""
    check_request(request)
    if request.share not in {share.strip("/") for share in env.shares}:
        raise Forbidden("this is not one of our shared folders.", remedy="Choose again in a shared folder.")
    if request.kind != "download" and not (env.live / request.share).is_dir():
        raise NotFound(
            "the shared folder is not on this machine.", remedy="Download the files, or ask the maintenance team."
        )
    if request.whole_share and not env.may_replace:
        raise Refused(
            "a whole shared folder is only replaced with a signed act of the maintenance team.",
            remedy="Restore into a new folder, or ask the maintenance team to sign `rewind`.",
        )


def _planned(env: RestoreEnv, request: RestoreRequest, borg: Borg, known: Contents | None, now: float, age: int) -> Job:
    one_file = known is not None and known.entries == len(request.paths) == 1 and known.size > 0
    fills = () if one_file else env.fills(borg, request)
    if fills:
        contents = contents_with(borg, request.archive, request.paths, fills)
    else:
        contents = known or contents_of(borg, request.archive, request.paths)
    begin = partial(plan, env.restores, borg, request.archive, request.paths, now=now, age_seconds=age)
    if request.kind == "download":
        copies = 1 if _is_one_file(request, contents) else 2  # what comes out, and the zip of it
        check_room(env.requests.done, copies * contents.size)
        return begin(contents=contents, fills=fills)
    renamed = _renamed(env, request, now)
    return begin(in_place=env.live, contents=contents, renamed=renamed, fills=fills)


def _is_one_file(request: RestoreRequest, contents: Contents) -> bool:
    return len(request.paths) == 1 and contents.entries == 1


def _renamed(env: RestoreEnv, request: RestoreRequest, now: float) -> dict[str, str]:
    """Where each path comes to lie, under names that nothing has yet."""
    moment = french_moment(request.moment_seconds, env.zone, now)
    if request.kind == "folder":
        title = free_name(f"Retrouvé du {moment}", lambda it: os.path.lexists(env.live / request.share / it))
        below = f"{request.share}/{title}"
        return {
            path: below if path == request.share else f"{below}{path[len(request.share) :]}" for path in request.paths
        }
    if request.kind != "beside":
        return {}
    renamed: dict[str, str] = {}
    for path in request.paths:
        above, _, name = path.rpartition("/")
        wanted = version_name(name, moment)
        found = free_name(
            wanted,
            lambda it, above=above: os.path.lexists(env.live / above / it),  # type: ignore[misc]
        )
        renamed[path] = f"{above}/{found}"
    return renamed


def _ready(
    env: RestoreEnv,
    folder: RequestFolder,
    request: RestoreRequest,
    status: Status,
    job: Job,
    teller: _Teller,
    now: float,
) -> Status:
    """Make the job's files one file to download."""
    made = make_private_folder(folder.result)
    moment = french_moment(request.moment_seconds, env.zone, now)
    files = JobFolder(env.restores / job.id).files
    above, name = _what(request)
    if len(request.paths) == 1 and not (files / above / name).is_dir():
        result = version_name(name, moment)
        if not (made / result).exists():  # moved there before a cut
            _check_is_file(files / above / name)
            os.rename(_ours(files / above / name), made / result)
    else:
        result = f"{version_name(name, moment)}.zip"
        status = _zip(files / above, folder, made / result, env, status, teller)
    fsync_folder(made)
    return dataclasses.replace(status, state="ready", result=result, size=(made / result).stat().st_size)


def _what(request: RestoreRequest) -> tuple[str, str]:
    """The folder that holds all that was asked for, and what one calls it."""
    if len(request.paths) == 1:
        above, _, name = request.paths[0].rpartition("/")
        return above, name
    return os.path.commonpath([path.rpartition("/")[0] for path in request.paths]), "fichiers"


def _ours(source: Path) -> Path:
    """Make a restored file, which has its owner and mode, a file of our own: the pages that offer it only read it."""
    os.chown(source, os.geteuid(), os.getegid())
    os.chmod(source, 0o600)
    return source


def _check_is_file(source: Path) -> None:
    if source.is_symlink() or not source.is_file():
        raise UsageError("a link, a device or a pipe cannot be downloaded.", remedy="Download its folder.")


def _zip(source: Path, folder: RequestFolder, target: Path, env: RestoreEnv, status: Status, teller: _Teller) -> Status:
    packed = pack(source, folder.packing, env.zone, teller.packing)
    os.rename(folder.packing, target)
    left_out = (*status.left_out, *packed.left_out)
    return dataclasses.replace(status, changed_names=len(packed.changed), left_out=left_out)


def discard(restores: Path, job: str) -> None:
    """Remove the job of a download, if it is there; what is cut here goes with what restores replaced."""
    try:
        folder = folder_of(restores, job)
    except NotFound:
        return
    aside = folder.root.with_name(f".{job}.expired")
    os.rename(folder.root, aside)
    shutil.rmtree(aside, ignore_errors=True)


def _failed(status: Status, error: ApplianceError | OSError) -> Status:
    if isinstance(error, OSError):
        # The system's message names the file, which may be somebody's; the sentence is shown to people.
        error = ApplianceError(f"{os.strerror(error.errno or 0)}.", remedy="Ask the maintenance team.")
    return failed(status, error)


@dataclass
class _Teller:
    """Tells the page how far it is, twice a second at most."""

    folder: RequestFolder
    total: int = 0
    told: float = 0.0

    def extracting(self, seen: Progress) -> None:
        self._tell(Reached(seen.done_bytes, max(seen.total_bytes, self.total), seen.files))

    def packing(self, size: int, files: int) -> None:
        self._tell(Reached(size, self.total, files))

    def _tell(self, reached: Reached) -> None:
        if time.monotonic() - self.told >= TELL_EVERY_SECONDS:
            tell(self.folder, reached)
            self.told = time.monotonic()
