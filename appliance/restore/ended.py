"""The records of restore requests that ended: a result for 7 days, the rest for as long as a restore can be undone."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from pathlib import Path

from appliance.errors import Busy, NotFound
from appliance.host.files import locked
from appliance.host.layout import RequestFolders
from appliance.restore.job import folder_of, load
from appliance.restore.process import discard
from appliance.restore.request import RequestFolder, Status, asked_names, load_request, load_status, save_status, taken
from appliance.restore.undo import KEPT_SECONDS
from appliance.units import DAY

RESULT_KEPT_SECONDS = 7 * DAY


def expire_requests(requests: RequestFolders, restores: Path, *, age_seconds: int) -> int:
    """Remove results that ended 7 days ago, and orders that ended 30 days ago, by the ageing clock; how many of both.

    An order that has not ended is never removed, nor what a restore replaced in place (`undo.expire` does that).
    """
    removed = 0
    for name in taken(requests):
        folder = RequestFolder(requests, name)
        with contextlib.suppress(Busy), locked(folder.lock, what=f"the restore {name}"):
            removed += _expire(folder, restores, load_status(folder), age_seconds)
            _forget(folder)
    return removed


def _forget(folder: RequestFolder) -> None:
    """Remove the record of an order that is over, once the pages removed what they wrote."""
    if load_status(folder).state != "over":
        return
    for path in folder.root.iterdir():
        if path not in (folder.status, folder.lock):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not os.path.lexists(folder.asked):
        shutil.rmtree(folder.root)


def _discard_planned(restores: Path, job: str) -> None:
    """Remove the job of an order that failed before it put anything back: it would hold its archive for ever."""
    try:
        folder = folder_of(restores, job)
    except NotFound:
        return
    with locked(folder.lock, what=f"the restore {job}"):
        if load(folder).state == "planned":
            discard(restores, job)


def _expire(folder: RequestFolder, restores: Path, status: Status, age_seconds: int) -> bool:
    """Whether something of it was removed."""
    ended = status.ended_age_seconds
    if ended is None or status.state == "over" or age_seconds - ended < RESULT_KEPT_SECONDS:
        return False
    is_download = folder.file.exists() and load_request(folder).kind == "download"
    if is_download:
        discard(restores, status.job)  # one that failed still has what it took out
    if age_seconds - ended >= KEPT_SECONDS:
        _discard_planned(restores, status.job)
        save_status(folder, Status("over"))
        return True
    if not is_download or status.state == "expired":
        return False
    save_status(folder, dataclasses.replace(status, state="expired"))
    shutil.rmtree(folder.result, ignore_errors=True)
    folder.packing.unlink(missing_ok=True)
    return True


def clear_ended(requests: RequestFolders) -> None:
    """Remove, as the pages, what they wrote for orders of which nothing more can be asked."""
    for name in asked_names(requests):
        folder = RequestFolder(requests, name)
        if load_status(folder).state in ("expired", "over"):
            shutil.rmtree(folder.asked, ignore_errors=True)
