"""Take up what pages asked for: it is read once, by who has the powers, and kept where the pages do not write.

Earlier versions wrote the status beside the order, where the pages write. What lies there now may be anybody's, so of
such a status the name of the restore job alone is used, and only if that job is of the same archive and paths and was
typed by nobody; how far the order is follows from the job. A download that was ready is over: it is asked again.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from appliance.errors import ApplianceError, IntegrityError
from appliance.host.files import fsync_folder, locked, write_atomic
from appliance.restore.job import NOT_TYPED, UNENDED, Job, folder_of, load
from appliance.restore.order import (
    Order,
    OrderFolder,
    Status,
    anew,
    asked_bytes,
    asked_order,
    is_asked_again,
    load_order,
    load_status,
    mark_of,
    order_bytes,
    save_status,
)
from appliance.units import MIB

STATUS_BYTES_MAX = 16 * MIB
ENDED_EARLIER = Status(
    state="failed",
    cause="NotFound",
    failure="this restore was started by an earlier version and cannot be continued.",
    remedy="Request it again.",
)


def take_up(folder: OrderFolder, restores: Path, *, age_seconds: int) -> Order:
    """The order, from now on as it was read now. One that cannot be read fails for good; raise IntegrityError then.

    To be called under the lock of `folder`.
    """
    if folder.file.exists():
        return load_order(folder)
    try:
        order = asked_order(folder)
        earlier = _earlier(folder, order, restores, age_seconds)
    except IntegrityError as error:
        save_status(folder, failed(Status(ended_age_seconds=age_seconds), error))
        raise
    if earlier:
        save_status(folder, earlier)
    write_atomic(folder.file, order_bytes(order), mode=0o600)
    fsync_folder(folder.orders.done)
    return order


def take(folder: OrderFolder, restores: Path, *, age_seconds: int) -> Order:
    """The same for one that nobody is at; raise Busy for another one."""
    with locked(folder.lock, what=f"the restore {folder.name}"):
        return take_up(folder, restores, age_seconds=age_seconds)


def heard(folder: OrderFolder) -> Status:
    """How far the order is, once it is heard whether somebody asked again."""
    status = load_status(folder)
    if is_asked_again(folder, status):
        return save_status(folder, dataclasses.replace(anew(status), heard_again=mark_of(folder, "again")))
    return status


def failed(status: Status, error: ApplianceError) -> Status:
    kind = type(error).__name__
    return dataclasses.replace(status, state="failed", cause=kind, failure=error.what, remedy=error.remedy)


def _earlier(folder: OrderFolder, order: Order, restores: Path, age_seconds: int) -> Status | None:
    """What an earlier version had made of the order; None when it had not begun."""
    raw = asked_bytes(folder, "status.json", STATUS_BYTES_MAX)
    if raw is None:
        return None
    state, job = _told(raw, order, restores)
    mark = mark_of(folder, "undo")
    status = dataclasses.replace(_status_by(order, state, job), heard_undo=mark if mark == "failed" else "")
    if status.state in ("waiting", "running"):
        return status
    return dataclasses.replace(status, ended_age_seconds=job.ended_age_seconds if job else age_seconds)


def _told(raw: bytes, order: Order, restores: Path) -> tuple[str, Job | None]:
    try:
        data = json.loads(raw)
        state, name = str(data["state"]), str(data["job"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", None
    return state, _job_of(order, restores, name)


def _job_of(order: Order, restores: Path, name: str) -> Job | None:
    """The job `name` if it is of this order; None for every other one."""
    try:
        job = load(folder_of(restores, name))
    except (ApplianceError, OSError, ValueError):
        return None
    wanted = (order.archive, order.paths, order.kind != "download", NOT_TYPED, False)
    return job if (job.archive, job.paths, job.in_place, job.typed, job.given_up) == wanted else None


def _status_by(order: Order, state: str, job: Job | None) -> Status:
    if job is None:
        return Status("waiting") if state in ("waiting", "running") else _over(state)
    known = Status(job=job.id, entries=job.entries, size=job.size, left_out=job.warnings)
    if state == "failed":
        return dataclasses.replace(ENDED_EARLIER, job=job.id, entries=job.entries, size=job.size)
    if job.state in UNENDED or order.kind == "download":
        return dataclasses.replace(known, state="running")
    first = dict(job.renamed).get(order.paths[0], order.paths[0])
    return dataclasses.replace(known, state="ready" if job.state == "done" else "undone", result=first)


def _over(state: str) -> Status:
    return ENDED_EARLIER if state == "failed" else Status("expired")
