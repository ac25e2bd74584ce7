"""When the last safe copy of a share was made, as those who hold it have signed.

At the writer the receipts are its own memory's. A standby has its own, and the last one that each other holder showed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.agent.memory import Memory
from appliance.agent.observe import Observer, now_of
from appliance.backup.exchange import shown_receipts
from appliance.backup.node import Node
from appliance.backup.safety import judge
from appliance.backup.vault.kept import stored_grant
from appliance.monitor.view import Held, View

LATE_AFTER = 1.5


@dataclass(frozen=True)
class Freshness:
    """Of one service. `safe_seconds`: when its newest safe copy was made, UTC; None when none is known to be safe.

    Of the newest of all, `copies` of the `promised` ones are acknowledged.
    """

    safe_seconds: float | None
    copies: int
    promised: int
    rpo_seconds: int

    def is_late(self, now: float) -> bool:
        """Whether the last safe copy is older than it may ever be, by the measure that holders have (`monitor`)."""
        return self.safe_seconds is not None and now - self.safe_seconds > LATE_AFTER * self.rpo_seconds


def freshness(node: Node, services: tuple[str, ...]) -> dict[str, Freshness]:
    """What is known here of each of `services`; nobody is asked."""
    view = Observer().look(node, now_of(node), Memory(), thorough=True)
    found = {service: _of(node, view, service) for service in services}
    return {service: it for service, it in found.items() if it}


def _of(node: Node, view: View, service: str) -> Freshness | None:
    for written in view.written:
        if written.service == service and written.ours:
            safe = written.safe_newest
            safety = written.safety
            return Freshness(safe.time if safe else None, len(safety.counted), safety.promised, written.rpo_seconds)
    held = next((it for it in view.held if it.service == service), None)
    return _of_held(node, held) if held else None


def _of_held(node: Node, held: Held) -> Freshness | None:
    if held.newest is None:
        return None
    grant = stored_grant(node.holding(held.service), node.bundle, held.newest.epoch)
    holders = {node.name, *_holding(shown_receipts(node, held.service), held.newest.name)}
    safety = judge(node.bundle, held.service, grant.writer, holders, held.lost)
    safe_seconds = held.newest.time if safety.safe else None
    return Freshness(safe_seconds, len(safety.counted), safety.promised, held.rpo_seconds)


def _holding(shown: Mapping[str, str], generation: str) -> tuple[str, ...]:
    return tuple(peer for peer, newest in shown.items() if newest >= generation)
