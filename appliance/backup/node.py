"""This node, as everything in `backup/` sees it: who it is, the bundle it lives by, its clocks, its journal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.backup.vault.store import Holding
from appliance.backup.vault.wire import QUIET_SECONDS
from appliance.clock import Clock, SystemClock
from appliance.host.ageing import AgeingClock
from appliance.host.journal import Journal
from appliance.host.layout import NodeLayout, ServiceLayout
from appliance.trust.bundle import Bundle
from appliance.trust.identity import load_territory


@dataclass(frozen=True)
class Node:
    layout: NodeLayout
    name: str
    bundle: Bundle
    clock: Clock
    ageing: AgeingClock
    journal: Journal
    patience_seconds: float = QUIET_SECONDS
    """How long a peer that says nothing is waited for."""

    def holding(self, service: str) -> Holding:
        """What this node holds of `service` for others."""
        return Holding(self.layout.vault / service)

    def service(self, name: str) -> ServiceLayout:
        """Where this node keeps `name` when it writes it or may open it."""
        return self.layout.service(name)

    @property
    def signing_key(self) -> Path:
        return self.layout.keys / "sign_ed25519"


def open_node(state: Path, clock: Clock | None = None) -> Node:
    """The node whose state folder is `state`; raise NotFound when there is none or it has no bundle yet."""
    layout = NodeLayout(state.absolute())  # borg and ssh get these paths from other working folders
    clock = clock or SystemClock()
    identity, bundle = load_territory(layout)
    ageing = AgeingClock(layout.root / "age.json", clock)
    return Node(layout, identity.name, bundle, clock, ageing, Journal(layout.journal, clock))
