"""The acts that were accepted at this node, checked once each; those that failover and the voters' brokers obey.

A check costs a process, acts are never removed, and a broker asks for them at nearly every call.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

from appliance.errors import ApplianceError
from appliance.host.files import mark_of
from appliance.node.acts import act_files, judge_act
from appliance.node.current import Current
from appliance.node.handle import Node
from appliance.trust.act import OBEYED_BY_FAILOVER, Act

AGAIN_SECONDS = 2.0


class JudgedActs:
    """Those of a node, of the kinds `kinds` if any are named; each is judged when it comes, and under each bundle.

    One whose check failed by itself (it took too long, the disk of its working files was full) was not judged: it is
    checked again after a while, and what was judged before counts meanwhile.
    """

    def __init__(self, kinds: Collection[str] = ()) -> None:
        self._kinds = kinds
        self._known: tuple[str, Mapping[str, Act | None]] = ("", {})
        self._found: tuple[object, tuple[Act, ...]] = (None, ())
        """The acts found, by which bundle in which state of the folder, once each act there was judged."""
        self._again_at: dict[str, float] = {}

    def look(self, node: Node) -> tuple[Act, ...]:
        """Threads may ask at once, so what was found and by what bundle change together."""
        bundle, mark = node.bundle.document.digest, mark_of(node.layout.acts)
        by, found = self._found
        if by == (bundle, mark):
            return found
        files = {it.name: it for it in act_files(node.layout.acts)}
        by, before = self._known
        judged = {name: act for name, act in before.items() if name in files} if by == bundle else {}
        for name in files.keys() - judged.keys():
            if time.monotonic() >= self._again_at.get(name, float("-inf")):
                try:
                    judged[name] = judge_act(files[name], node.bundle, self._kinds)
                except (ApplianceError, OSError):
                    self._again_at[name] = time.monotonic() + AGAIN_SECONDS
        self._known = bundle, judged
        found = tuple(act for _, act in sorted(judged.items()) if act is not None)
        if judged.keys() == files.keys():
            self._found = (bundle, mark), found
        return found


class KeptActs:
    """Those of the node `current` that failover obeys."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._judged = JudgedActs(OBEYED_BY_FAILOVER)

    def look(self) -> tuple[Act, ...]:
        return self._judged.look(self._current.node)
