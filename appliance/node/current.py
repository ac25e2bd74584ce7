"""This node as its long-lived programs see it: the bundle is read again when it changed, never once for ever."""

from __future__ import annotations

import os
import time
from pathlib import Path

from appliance.node.handle import Node, open_node

LOOK_EVERY_SECONDS = 0.5


class Current:
    """The node of the state folder `state`; `node` is cheap to ask."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._node = open_node(state)
        self._bundle = str(self._node.layout.bundle)
        self._mark = self._now()
        self._looked = time.monotonic()

    @property
    def node(self) -> Node:
        if time.monotonic() >= self._looked + LOOK_EVERY_SECONDS:
            self._looked = time.monotonic()
            if (mark := self._now()) != self._mark:
                self._node, self._mark = open_node(self._state), mark
        return self._node

    def _now(self) -> tuple[int, int]:
        found = os.stat(self._bundle)
        return found.st_mtime_ns, found.st_ino


def files_of(node: Node, path: str) -> Path:
    """Where `path` of a service is on this node: below a folder of its own in process mode, when it has one."""
    below = node.layout.machine
    return below / path.lstrip("/") if below.exists() else Path(path)
