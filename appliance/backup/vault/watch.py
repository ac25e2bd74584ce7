"""End a session whose caller was revoked meanwhile: the bundle of its beginning
is in force for it, and it may last for hours.

The session is a process of its own, so the watch ends the process. That is a cut like any other: what came whole is
kept, the rest comes again, to who may have it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from appliance.errors import ApplianceError, Forbidden
from appliance.node.handle import Node
from appliance.trust.bundle import load_bundle

LOOK_SECONDS = 2.0


def watch(node: Node, caller: str, end: Callable[[int], object] = os._exit) -> threading.Thread:
    """Look at the bundle of `node` while the process lives; `end` it when `caller` has other keys there, or none."""
    thread = threading.Thread(target=_watch, args=(node, caller, end), name="revocations", daemon=True)
    thread.start()
    return thread


def _watch(node: Node, caller: str, end: Callable[[int], object]) -> None:
    seen = (-1, -1)  # the first look checks in any case: a bundle may have come since the session read its own
    while True:
        time.sleep(LOOK_SECONDS)
        mark = _mark(node)
        if mark != seen:
            seen = mark
            if not still_known(node, caller):
                end(Forbidden.exit_code)
                return


def still_known(node: Node, caller: str) -> bool:
    """Whether `caller` has the keys in the present bundle with which it began; a bundle that cannot be read says no."""
    try:
        present = load_bundle(node.layout.bundle, node.bundle.territory_key)
    except ApplianceError:
        return False
    before = node.bundle.members.get(caller)
    return before is not None and caller in present.members and present.members[caller].keys == before.keys


def _mark(node: Node) -> tuple[int, int]:
    """Return a mark that changes with each bundle: the file is replaced whole."""
    try:
        status = node.layout.bundle.stat()
    except OSError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns
