"""What is kept of orders that ended: a result for 7 days, the rest for as long as a restore can be undone."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from pathlib import Path

from appliance.errors import Busy
from appliance.host.files import locked
from appliance.restore.carry import discard
from appliance.restore.job import JobFolder, load
from appliance.restore.order import Order, OrderFolder, Status, all_orders, save_status
from appliance.restore.undo import KEPT_SECONDS
from appliance.units import DAY

RESULT_KEPT_SECONDS = 7 * DAY


def expire_orders(orders: Path, restores: Path, *, age_seconds: int) -> int:
    """Remove results that ended 7 days ago, and orders that ended 30 days ago, by the ageing clock; how many of both.

    An order that has not ended is never removed, nor what a restore replaced in place (`undo.expire` does that).
    """
    removed = 0
    for order, status in list(all_orders(orders)):
        with contextlib.suppress(Busy), locked(orders / order.id / "lock", what=f"the restore {order.id}"):
            removed += _expire(OrderFolder(orders / order.id), restores, order, status, age_seconds)
    for aside in orders.glob(".*.expired"):  # what an earlier call was cut at
        shutil.rmtree(aside)
    return removed


def _discard_planned(restores: Path, job: str) -> None:
    """Remove the job of an order that failed before it put anything back: it would hold its archive for ever."""
    folder = JobFolder(restores / job)
    if job and folder.file.exists():
        with locked(folder.lock, what=f"the restore {job}"):
            if load(folder).state == "planned":
                discard(restores, job)


def _expire(folder: OrderFolder, restores: Path, order: Order, status: Status, age_seconds: int) -> bool:
    """Whether something of it was removed."""
    ended = status.ended_age_seconds
    if ended is None or age_seconds - ended < RESULT_KEPT_SECONDS:
        return False
    if order.kind == "download":
        discard(restores, status.job)  # one that failed still has what it took out
    if age_seconds - ended >= KEPT_SECONDS:
        _discard_planned(restores, status.job)
        aside = folder.root.with_name(f".{folder.root.name}.expired")
        os.rename(folder.root, aside)
        shutil.rmtree(aside)
        return True
    if order.kind != "download" or status.state == "expired":
        return False
    save_status(folder, dataclasses.replace(status, state="expired"))
    shutil.rmtree(folder.result, ignore_errors=True)
    folder.packing.unlink(missing_ok=True)
    return True
