"""A restore request of the portal, and its progress. It is in two folders, each with one writer:

portal/orders/SERVICE/ORDER/        the pages
  order.json    what was asked, by which person; never changed
  undo, again   a request to undo it, or to try it once more: a word that is drawn for each time somebody asks
portal-work/orders/SERVICE/ORDER/   their worker, or a person who types `internal restore process-requests`
  order.json    what it took up; from then on nothing else is believed
  status.json   how far it is
  progress      bytes and files so far; only to be shown, not durable
  result/       the one file to download, kept for 7 days

The worker has rights over files that the pages have not: it writes nothing where they write, follows no link there, and
takes nothing from there but these three files. When an order is over, `status.json` alone says so until the pages have
removed what they wrote: an order whose record went first would be carried out once more.

The name of an order is drawn, not counted: it is part of addresses, and nobody must guess another's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from appliance.errors import ApplianceError, IntegrityError, NotFound, Refused, UsageError
from appliance.host.files import begin_file, fsync_folder, make_private_folder, read_plain, write_atomic
from appliance.host.layout import RequestFolders
from appliance.host.records import Record
from appliance.restore.place import open_folder, walk_to
from appliance.restore.scope import holds
from appliance.units import MIB

NAME = re.compile(r"[0-9a-f]{32}")
PATHS_MAX = 20_000
ASKED_BYTES_MAX = 32 * MIB
MARK_BYTES_MAX = 64
PERSON_CHARACTERS_MAX = 256
YEAR_10000 = 253_402_300_800.0

Mark = Literal["undo", "again"]

Kind = Literal["download", "beside", "in-place", "folder"]
"""A file or a zip to download; a dated copy beside the original; where it was; into a new folder of the share."""
State = Literal["waiting", "running", "ready", "failed", "undone", "expired", "over"]
"""An order that is over is shown to nobody."""


@dataclass(frozen=True)
class RestoreRequest:
    """`paths` of `archive`, which was made at `moment_seconds`; all lie in the folder `share` or are it."""

    id: str
    person: str
    service: str
    kind: Kind
    archive: str
    moment_seconds: float
    paths: tuple[str, ...]
    share: str
    created_utc_seconds: float

    @property
    def whole_share(self) -> bool:
        """Whether it replaces all of a share, which takes a signed act: nobody does that by mistake."""
        return self.kind == "in-place" and self.share in self.paths


@dataclass(frozen=True)
class Status:
    """`job` is the restore that does it. `result`: what to download or, in the share, the first path that came back.

    `step` is what is being done: "opening" the backups, "extracting", "packing". `failure` and `remedy` say why it
    failed, `cause` is the name of that error's class; nothing is lost then, and it can be asked again.
    `ended_age_seconds` is the ageing clock's. `older`: paths that come from an older archive than the one asked
    for, which lacks them, and when that was made, UTC seconds in words. `raw`: databases that could not be copied
    and come as their files lay there, and when the last copy was made, "" for none.
    """

    state: State = "waiting"
    step: str = ""
    job: str = ""
    entries: int = 0
    size: int = 0
    result: str = ""
    changed_names: int = 0
    left_out: tuple[tuple[str, str], ...] = ()
    older: tuple[tuple[str, str], ...] = ()
    raw: tuple[tuple[str, str], ...] = ()
    cause: str = ""
    failure: str = ""
    remedy: str = ""
    ended_age_seconds: int | None = None
    heard_undo: str = ""
    heard_again: str = ""
    """The mark of the pages that was heard last."""


@dataclass(frozen=True)
class Reached:
    """How far the running step is; `total_bytes` is 0 while unknown."""

    done_bytes: int = 0
    total_bytes: int = 0
    files: int = 0


UNREADABLE = "this request cannot be read"
REQUEST, STATUS, REACHED = (
    Record(RestoreRequest, 1, UNREADABLE),
    Record(Status, 1, UNREADABLE, defaults=True),
    Record(Reached),
)


@dataclass(frozen=True)
class RequestFolder:
    """Where what belongs to the order `name` lies: `asked` is the pages' part, `root` their worker's."""

    requests: RequestFolders
    name: str

    @property
    def asked(self) -> Path:
        return self.requests.asked / self.name

    @property
    def root(self) -> Path:
        return self.requests.done / self.name

    @property
    def file(self) -> Path:
        return self.root / "order.json"

    @property
    def status(self) -> Path:
        return self.root / "status.json"

    @property
    def progress(self) -> Path:
        return self.root / "progress"

    @property
    def result(self) -> Path:
        return self.root / "result"

    @property
    def packing(self) -> Path:
        """The zip while it is written."""
        return self.root / "packing.zip"

    @property
    def lock(self) -> Path:
        return self.root / "lock"


def place_request(
    requests: RequestFolders,
    *,
    person: str,
    service: str,
    kind: Kind,
    archive: str,
    moment_seconds: float,
    paths: tuple[str, ...],
    share: str,
    now: float,
    tell: Callable[[RestoreRequest], None] = lambda request: None,
) -> RestoreRequest:
    """Keep what `person` asks for; nothing is restored yet. Raise UsageError for what nobody can carry out.

    `tell` hears of the order before anybody can take it up; where it raises, nothing is ordered.
    """
    name = secrets.token_hex(16)
    request = RestoreRequest(
        name, person, service, kind, archive, moment_seconds, _outermost(paths), share.strip("/"), now
    )
    check_request(request)
    tell(request)
    folder = make_private_folder(requests.asked / name)
    write_atomic(folder / "order.json", request_bytes(request), mode=0o600)
    fsync_folder(requests.asked)
    return request


def request_bytes(request: RestoreRequest) -> bytes:
    return REQUEST.to_bytes(request)


def check_request(request: RestoreRequest) -> None:
    """Raise UsageError for what nobody can carry out."""
    if not 0 < len(request.paths) <= PATHS_MAX:
        raise UsageError(f"choose between one and {PATHS_MAX} files.", remedy="Or choose the folder that holds them.")
    if not all(holds((request.share,), path) for path in request.paths):
        raise UsageError("some of the files are not in the shared folder.", remedy="Choose again in one shared folder.")
    if request.kind == "beside" and request.share in request.paths:
        raise UsageError(
            "a shared folder cannot be restored beside itself.", remedy="Restore into a new folder instead."
        )


def _outermost(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Without those that come along with a folder above them: somebody ticked both."""
    wanted = set(paths)
    folders = {
        path: itertools.accumulate(path.split("/")[:-1], lambda above, name: f"{above}/{name}") for path in paths
    }
    return tuple(path for path in dict.fromkeys(paths) if wanted.isdisjoint(folders[path]))


def request_folder(requests: RequestFolders, name: str) -> RequestFolder:
    """The folder of an order; raise NotFound for a name that is none's, forged ones included."""
    folder = RequestFolder(requests, name)
    if not NAME.fullmatch(name) or not _is_there(folder) or load_status(folder).state == "over":
        raise NotFound("this restore does not exist or has finished.", remedy="See the list of restores.")
    return folder


def _is_there(folder: RequestFolder) -> bool:
    return folder.file.is_file() or os.path.lexists(folder.asked / "order.json")


def names_of(requests: RequestFolders) -> set[str]:
    """The names of all orders, those included that cannot be read and those that are over."""
    return {*asked_names(requests), *taken(requests)}


def taken(requests: RequestFolders) -> list[str]:
    """The names of those that the worker has a record of."""
    return sorted(filter(NAME.fullmatch, _names_in(requests.done)))


def asked_names(requests: RequestFolders) -> list[str]:
    """The names of those that the pages wrote."""
    return sorted(filter(NAME.fullmatch, _names_in(requests.asked)))


def untaken(requests: RequestFolders) -> Iterator[RequestFolder]:
    """Return the requests that the worker has not taken up yet."""
    for name in asked_names(requests):
        folder = RequestFolder(requests, name)
        if not folder.file.exists() and not folder.status.exists() and _is_there(folder):
            yield folder


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def load_request(folder: RequestFolder) -> RestoreRequest:
    """As it was taken up, else as it was asked; raise IntegrityError for what no page of ours writes."""
    return read_request(folder, folder.file.read_bytes()) if folder.file.exists() else asked_request(folder)


def asked_request(folder: RequestFolder) -> RestoreRequest:
    """As the pages wrote it; raise NotFound when it is gone."""
    raw = asked_bytes(folder, "order.json", ASKED_BYTES_MAX)
    if raw is None:
        raise NotFound("this restore does not exist or has finished.", remedy="See the list of restores.")
    return read_request(folder, raw)


def asked_bytes(folder: RequestFolder, file: str, bytes_max: int) -> bytes | None:
    """A file that the pages wrote for an order; None where there is none. No link on the way is followed."""
    try:
        with (
            open_folder(folder.requests.pages) as pages,
            walk_to(pages, f"orders/{folder.requests.service}/{folder.name}/{file}") as (parent, name),
        ):
            return read_plain(name, bytes_max, folder=parent)
    except FileNotFoundError:
        return None
    except (Refused, IntegrityError, PermissionError) as error:
        why = error.what if isinstance(error, ApplianceError) else "its reader has no permission to read it."
        raise IntegrityError(f"this request cannot be read: {why}", where=str(folder.asked / file)) from error


def read_request(folder: RequestFolder, raw: bytes) -> RestoreRequest:
    """Raise IntegrityError for an order that is another's, or has a value that no page of ours writes."""
    try:
        request = REQUEST.from_bytes(raw)
        _check_values(request, folder)
    except ValueError as error:
        raise IntegrityError(f"{UNREADABLE}: {error}.", where=str(folder.asked / "order.json")) from error
    return request


def _check_values(request: RestoreRequest, folder: RequestFolder) -> None:
    """Raise ValueError; names of files may be any bytes, which is what fsencode takes."""
    for text in (
        request.id,
        request.person,
        request.service,
        request.kind,
        request.archive,
        request.share,
        *request.paths,
    ):
        os.fsencode(text)
    for seconds in (request.moment_seconds, request.created_utc_seconds):
        if not (math.isfinite(seconds) and 0 <= seconds < YEAR_10000):
            raise ValueError("invalid time")
    if (request.id, request.service) != (folder.name, folder.requests.service):
        raise ValueError("it belongs to another folder")
    if len(request.person) > PERSON_CHARACTERS_MAX or "\0" in request.archive:
        raise ValueError("invalid name")


def ask(folder: RequestFolder, mark: Mark) -> None:
    """Let the worker know, as the pages do, that somebody wants it undone, or tried again."""
    write_atomic(make_private_folder(folder.asked) / mark, secrets.token_hex(8).encode(), mode=0o600)


def mark_of(folder: RequestFolder, mark: Mark) -> str:
    """The mark that the pages set last; "" for none, and for what is no mark."""
    with contextlib.suppress(IntegrityError, UnicodeDecodeError):
        return (asked_bytes(folder, mark, MARK_BYTES_MAX) or b"").decode("ascii")
    return ""


def is_asked_again(folder: RequestFolder, status: Status) -> bool:
    return status.state == "failed" and mark_of(folder, "again") not in ("", status.heard_again)


def retried(status: Status) -> Status:
    """Return the status of an order that failed and is tried once more, from where it stopped."""
    return dataclasses.replace(status, state="waiting", cause="", failure="", remedy="", ended_age_seconds=None)


def shown_status(folder: RequestFolder) -> Status:
    """How far it is: one that was asked again waits from that moment on, though the worker did not hear it yet."""
    status = load_status(folder)
    return retried(status) if is_asked_again(folder, status) else status


def load_status(folder: RequestFolder) -> Status:
    """How far it is; "waiting" until somebody took it up."""
    return STATUS.load(folder.status) or Status()


def save_status(folder: RequestFolder, status: Status) -> Status:
    STATUS.save(folder.status, status)
    return status


def reached(folder: RequestFolder) -> Reached:
    """How far the running step is, as it was told last."""
    return REACHED.load_or(folder.progress, Reached())


def tell(folder: RequestFolder, reached: Reached) -> None:
    """Show how far it is. Not durable: after a cut the step is reported again."""
    aside = folder.progress.with_suffix(".new")
    with contextlib.suppress(OSError):  # a full disk stops the restore itself, with a sentence
        with begin_file(aside) as file:
            file.write(REACHED.to_bytes(reached))
        os.rename(aside, folder.progress)


def all_requests(requests: RequestFolders) -> Iterator[tuple[RestoreRequest, Status]]:
    """Every order with its status, the newest first; one that cannot be read is none: `request_intake.take_up` says
    so."""
    known = [found for name in names_of(requests) if (found := _known(RequestFolder(requests, name)))]
    yield from sorted(known, key=lambda it: (it[0].created_utc_seconds, it[0].id), reverse=True)


def _known(folder: RequestFolder) -> tuple[RestoreRequest, Status] | None:
    status = shown_status(folder)
    if status.state == "over":
        return None
    with contextlib.suppress(IntegrityError, NotFound):
        return load_request(folder), status
    return None


def result_of(requests: RequestFolders, name: str) -> Path:
    """The file to download; raise NotFound when it is not ready or its 7 days are over."""
    folder = request_folder(requests, name)
    status = load_status(folder)
    if status.state != "ready" or not status.result or load_request(folder).kind != "download":
        raise NotFound("there is nothing to download here.", remedy="See the list of restores.")
    return folder.result / status.result
