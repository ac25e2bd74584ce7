"""The checks of a node's own doctor on the voter beside it, and on the copies of its store (see `maintenance.py`).

This module loads nothing that talks to a store: every look at a node asks it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from appliance import typed
from appliance.clock import utc_seconds
from appliance.coordination.argv import QUOTA_BYTES
from appliance.host.layout import NodeLayout
from appliance.monitor.states import Reason, State
from appliance.units import DAY, MINUTE, format_bytes, format_duration
from appliance.voter.maintenance_rules import SNAPSHOT_EVERY_SECONDS

SUFFIX = ".snapshot"
SILENT_SECONDS_MAX = 15 * MINUTE
NEARLY_FULL = 0.8
CHECK = "voter"
CONFIRM = (
    "If too few brokers accept it, the voters cannot grant it to any node. The holder of the territory key confirms "
    f"it in the next bundle: {typed.CONFIRM}, the one of that time; see the page."
)
START = "Type `appliance internal failover broker`, or start its unit."


def snapshots(folder: Path) -> dict[float, Path]:
    """The whole copies of the store in `folder`, by when they were made, UTC seconds."""
    found = {}
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(ValueError):
            found[utc_seconds(path.name.removesuffix(SUFFIX))] = path
    return found


def problems(layout: NodeLayout, now: float) -> Iterator[Reason]:
    """Return the problems of the voter of this node; none on a node without a voter."""
    if not layout.voter.exists():
        return
    try:
        told = json.loads((layout.voter_maintenance / "care.json").read_bytes())
        looked, leader, size = float(told["looked"]), int(told["leader"]), int(told["size_bytes"])
        trouble = {str(what): str(why) for what, why in told["trouble"].items()}
        unbelieved = {str(name): str(why) for name, why in told.get("unbelieved", {}).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        yield Reason("failed", "no broker maintains its voter: its broker has not reported its state.", START, CHECK)
        return
    if now - looked > SILENT_SECONDS_MAX:
        ago = format_duration(now - looked)
        yield Reason("failed", f"its broker has not maintained its voter for {ago}.", START, CHECK)
        return
    yield from _of_the_store(leader, size, trouble)
    yield from _of_copies(layout.voter_maintenance, now, trouble)
    for name, why in sorted(unbelieved.items()):
        yield Reason("warning", f"its broker does not accept the newest grant of {name}: {why}", CONFIRM, CHECK)


def _of_the_store(leader: int, size: int, trouble: dict[str, str]) -> Iterator[Reason]:
    if "answer" in trouble:
        yield Reason("failed", f"its voter does not answer: {trouble['answer']}", "See `systemctl status`.", CHECK)
    elif not leader:
        remedy = "Start the other voters; `appliance voter show` lists them."
        yield Reason("failed", "its voter has no leader: there is no majority, or it is cut off.", remedy, CHECK)
    if size > NEARLY_FULL * QUOTA_BYTES:
        of = f"{format_bytes(size)} of {format_bytes(QUOTA_BYTES)}"
        remedy = "Once it is full, it accepts no changes and no service moves. See the page."
        yield Reason("failed", f"its voter's store is nearly full: {of}.", remedy, CHECK)
    for what, sentence in (("lead", "the lead was not handed over"), ("defragment", "its store was not compacted")):
        if what in trouble:
            yield Reason("warning", f"{sentence}: {trouble[what]}", "It is retried automatically.", CHECK)


def _of_copies(folder: Path, now: float, trouble: dict[str, str]) -> Iterator[Reason]:
    newest = max(snapshots(folder), default=None)
    why = trouble.get("snapshot", "")
    if newest is None or now - newest > 2 * SNAPSHOT_EVERY_SECONDS + 5 * MINUTE:
        age = "there is no copy of its voter's store"
        if newest is not None:
            age = f"the newest copy of its voter's store is {format_duration(now - newest)} old"
        state: State = "failed" if newest is None or now - newest > DAY else "warning"
        yield Reason(state, f"{age}{f': {why}' if why else '.'}", "Check that its disk has space.", CHECK)
    elif why:
        remedy = "It is retried automatically."
        yield Reason("warning", f"its voter's store was not copied this hour: {why}", remedy, CHECK)
