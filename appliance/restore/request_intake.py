"""Take up what pages asked for: it is read once, by who has the powers, and kept where the pages do not write."""

from __future__ import annotations

import dataclasses

from appliance.errors import ApplianceError, IntegrityError
from appliance.host.files import fsync_folder, locked, write_atomic
from appliance.restore.request import (
    RequestFolder,
    RestoreRequest,
    Status,
    asked_request,
    is_asked_again,
    load_request,
    load_status,
    mark_of,
    request_bytes,
    retried,
    save_status,
)


def take_up(folder: RequestFolder, *, age_seconds: int) -> RestoreRequest:
    """The order, from now on as it was read now. One that cannot be read fails for good; raise IntegrityError then.

    To be called under the lock of `folder`.
    """
    if folder.file.exists():
        return load_request(folder)
    try:
        request = asked_request(folder)
    except IntegrityError as error:
        save_status(folder, failed(Status(ended_age_seconds=age_seconds), error))
        raise
    write_atomic(folder.file, request_bytes(request), mode=0o600)
    fsync_folder(folder.requests.done)
    return request


def take(folder: RequestFolder, *, age_seconds: int) -> RestoreRequest:
    """The same for one that nobody is at; raise Busy for another one."""
    with locked(folder.lock, what=f"the restore {folder.name}"):
        return take_up(folder, age_seconds=age_seconds)


def heard(folder: RequestFolder) -> Status:
    """How far the order is, once it is heard whether somebody asked again."""
    status = load_status(folder)
    if is_asked_again(folder, status):
        return save_status(folder, dataclasses.replace(retried(status), heard_again=mark_of(folder, "again")))
    return status


def failed(status: Status, error: ApplianceError) -> Status:
    kind = type(error).__name__
    return dataclasses.replace(status, state="failed", cause=kind, failure=error.what, remedy=error.remedy)
