"""The acts that were accepted at this node and that failover and the voters' brokers obey, checked once each.

A check costs a process, acts are never removed, and a broker asks for them at nearly every call.
"""

from __future__ import annotations

import os

from appliance.agent.current import Current
from appliance.backup.targets import load_acts
from appliance.failover.papers import OBEYED
from appliance.trust.act import Act


class KeptActs:
    """Those of the node `current`; checked anew when another one came, and under each bundle."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._known: tuple[object, tuple[Act, ...]] = (None, ())

    def look(self) -> tuple[Act, ...]:
        """Threads may ask at once, so what was found and from what change together."""
        node = self._current.node
        folder = node.layout.acts
        basis = (node.bundle.serial, sorted(os.listdir(folder)) if folder.exists() else [])
        known, found = self._known
        if basis != known:
            found = tuple(it for kind in OBEYED for it in load_acts(folder, node.bundle, kind))
            self._known = basis, found
        return found
