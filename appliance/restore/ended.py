"""What is kept of orders that ended: a result for 7 days, the rest for as long as a restore can be undone."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

from appliance.host.files import locked
from appliance.restore.order import OrderFolder, all_orders, save_status
from appliance.restore.undo import KEPT_SECONDS
from appliance.units import DAY

RESULT_KEPT_SECONDS = 7 * DAY


def expire_orders(orders: Path, *, age_seconds: int) -> int:
    """Remove results that ended 7 days ago, and orders that ended 30 days ago, by the ageing clock; how many of both.

    An order that has not ended is never removed.
    """
    removed = 0
    for order, status in list(all_orders(orders)):
        if status.ended_age_seconds is None:
            continue
        folder = OrderFolder(orders / order.id)
        age = age_seconds - status.ended_age_seconds
        with locked(folder.lock, what=f"the restore {order.id}"):
            if age >= KEPT_SECONDS:
                _remove(folder.root)
                removed += 1
            elif age >= RESULT_KEPT_SECONDS and folder.result.exists():
                save_status(folder, dataclasses.replace(status, state="expired"))
                shutil.rmtree(folder.result)
                removed += 1
    for aside in orders.glob(".*.expired"):  # what an earlier call was cut at
        shutil.rmtree(aside)
    return removed


def _remove(folder: Path) -> None:
    aside = folder.with_name(f".{folder.name}.expired")
    os.rename(folder, aside)
    shutil.rmtree(aside)
