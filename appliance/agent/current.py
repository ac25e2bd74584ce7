"""This node as its long-lived programs see it: the bundle is read anew when it changed, never once for ever."""

from __future__ import annotations

from pathlib import Path

from appliance.backup.node import Node, open_node


class Current:
    """The node of the state folder `state`; `node` is cheap to ask."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._node = open_node(state)
        self._mark = self._now()

    @property
    def node(self) -> Node:
        if (mark := self._now()) != self._mark:
            self._node, self._mark = open_node(self._state), mark
        return self._node

    def _now(self) -> tuple[int, int]:
        found = self._node.layout.bundle.stat()
        return found.st_mtime_ns, found.st_ino
