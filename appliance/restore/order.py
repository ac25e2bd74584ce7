"""What somebody asked for in the portal, and how far it is: one folder each, written so that a kill loses nothing.

orders/ORDER/
  order.json    what was asked, by whom; never changed
  status.json   how far it is, written by whoever carries it out
  progress      bytes and files so far; only to be shown, not durable
  result/       the one file to download, kept for 7 days

The name of an order is drawn, not counted: it stands in addresses, and nobody shall guess another's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from appliance.errors import IntegrityError, NotFound, UsageError
from appliance.host.files import fsync_folder, make_private_folder, write_atomic
from appliance.restore.scope import holds

FORMAT = 1
NAME = re.compile(r"[0-9a-f]{32}")
PATHS_MAX = 20_000

Kind = Literal["download", "beside", "in-place", "folder"]
"""A file or a zip to download; a dated copy beside the original; where it was; into a new folder of the share."""
State = Literal["waiting", "running", "ready", "failed", "undone", "expired"]


@dataclass(frozen=True)
class Order:
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
    for, which lacks them, and when that was made, UTC seconds in words.
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
    cause: str = ""
    failure: str = ""
    remedy: str = ""
    ended_age_seconds: int | None = None


@dataclass(frozen=True)
class Reached:
    """How far the running step is; `total_bytes` is 0 while unknown."""

    done_bytes: int = 0
    total_bytes: int = 0
    files: int = 0


@dataclass(frozen=True)
class OrderFolder:
    root: Path

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


def place_order(
    orders: Path,
    *,
    person: str,
    service: str,
    kind: Kind,
    archive: str,
    moment_seconds: float,
    paths: tuple[str, ...],
    share: str,
    now: float,
    tell: Callable[[Order], None] = lambda order: None,
) -> Order:
    """Keep what `person` asks for; nothing is restored yet. Raise UsageError for what nobody can carry out.

    `tell` hears of the order before anybody can take it up; where it raises, nothing is ordered.
    """
    name = secrets.token_hex(16)
    order = Order(name, person, service, kind, archive, moment_seconds, _outermost(paths), share.strip("/"), now)
    check_order(order)
    tell(order)
    folder = OrderFolder(make_private_folder(orders / name))
    write_atomic(folder.file, json.dumps({**dataclasses.asdict(order), "format": FORMAT}).encode(), mode=0o600)
    fsync_folder(orders)
    return order


def check_order(order: Order) -> None:
    """Raise UsageError for what nobody can carry out."""
    if not 0 < len(order.paths) <= PATHS_MAX:
        raise UsageError(f"choose between one and {PATHS_MAX} files.", remedy="Or choose the folder that holds them.")
    if not all(holds((order.share,), path) for path in order.paths):
        raise UsageError("not everything lies in the shared folder.", remedy="Choose again in one shared folder.")
    if order.kind == "beside" and order.share in order.paths:
        raise UsageError("a shared folder has nothing beside it.", remedy="Put it into a new folder instead.")


def _outermost(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Without those that come along with a folder above them: somebody ticked both."""
    wanted = set(paths)
    folders = {
        path: itertools.accumulate(path.split("/")[:-1], lambda above, name: f"{above}/{name}") for path in paths
    }
    return tuple(path for path in dict.fromkeys(paths) if wanted.isdisjoint(folders[path]))


def order_folder(orders: Path, name: str) -> OrderFolder:
    """The folder of an order; raise NotFound for a name that is none's, forged ones included."""
    folder = OrderFolder(orders / name) if NAME.fullmatch(name) else None
    if folder is None or not folder.file.is_file():
        raise NotFound("this restore does not exist or is over.", remedy="Look at the list of restores.")
    return folder


def load_order(folder: OrderFolder) -> Order:
    data = _load(folder.file)
    try:
        return Order(**{**data, "paths": tuple(data["paths"])})
    except (KeyError, TypeError) as error:
        raise IntegrityError(f"this order cannot be read: {error}.", where=str(folder.file)) from error


def load_status(folder: OrderFolder) -> Status:
    """How far it is; "waiting" until somebody took it up."""
    if not folder.status.exists():
        return Status()
    data = _load(folder.status)
    try:
        pairs = {
            name: tuple((str(path), str(other)) for path, other in data.get(name, ())) for name in ("left_out", "older")
        }
        return Status(**{**data, **pairs})
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"this order cannot be read: {error}.", where=str(folder.status)) from error


def save_status(folder: OrderFolder, status: Status) -> Status:
    data = {**dataclasses.asdict(status), "format": FORMAT}
    write_atomic(folder.status, json.dumps(data).encode(), mode=0o600)
    return status


def reached(folder: OrderFolder) -> Reached:
    """How far the running step is, as it was told last."""
    try:
        return Reached(**json.loads(folder.progress.read_bytes()))
    except (OSError, ValueError, TypeError):
        return Reached()


def tell(folder: OrderFolder, reached: Reached) -> None:
    """Show how far it is. Not durable: after a cut the step is told anew."""
    aside = folder.progress.with_suffix(".new")
    with contextlib.suppress(OSError):  # a full disk stops the restore itself, with a sentence
        aside.write_text(json.dumps(dataclasses.asdict(reached)))
        os.rename(aside, folder.progress)


def all_orders(orders: Path) -> Iterator[tuple[Order, Status]]:
    """Every order with its status, the newest first."""
    found = [OrderFolder(file.parent) for file in orders.glob("[0-9a-f]*/order.json")]
    known = [(load_order(folder), load_status(folder)) for folder in found]
    yield from sorted(known, key=lambda it: (it[0].created_utc_seconds, it[0].id), reverse=True)


def result_of(orders: Path, name: str) -> Path:
    """The file to download; raise NotFound when it is not ready or its 7 days are over."""
    folder = order_folder(orders, name)
    status = load_status(folder)
    if status.state != "ready" or not status.result or load_order(folder).kind != "download":
        raise NotFound("there is nothing to download here.", remedy="Look at the list of restores.")
    return folder.result / status.result


def _load(file: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(file.read_bytes())
        if data.pop("format") != FORMAT:
            raise ValueError("unknown format")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"this order cannot be read: {error}.", where=str(file)) from error
    return data
