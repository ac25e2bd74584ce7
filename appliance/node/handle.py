"""This node, as everything in `backup/` sees it: who it is, the bundle in force on it, its clocks, its journal."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from appliance.clock import Clock, SystemClock
from appliance.host.ageing import AgeingClock
from appliance.host.journal import Journal
from appliance.host.layout import NodeLayout, ServiceLayout
from appliance.territory.service_forms import ServiceForm, form_of
from appliance.trust.bundle import Bundle
from appliance.trust.identity import load_territory

QUIET_SECONDS = 600.0
"""A writer's patience: a vault makes every file durable before it answers, on whatever disk it has."""


@dataclass(frozen=True)
class Node:
    layout: NodeLayout
    name: str
    bundle: Bundle
    clock: Clock
    ageing: AgeingClock
    journal: Journal
    idle_timeout_seconds: float = QUIET_SECONDS
    """How long a peer that says nothing is waited for."""

    def service(self, name: str) -> ServiceLayout:
        """Where this node keeps `name` when it writes it or may open it."""
        return self.layout.service(name)

    def form(self, service: str) -> ServiceForm | None:
        """How this host serves `service`, which moves between hosts; None of what stays, and in process mode."""
        plan = self.bundle.terms(service).service
        return form_of(plan) if plan.address and self.layout.is_this_host else None

    @property
    def signing_key(self) -> Path:
        return self.layout.keys / "sign_ed25519"


def open_node(state: Path, clock: Clock | None = None) -> Node:
    """The node whose state folder is `state`; raise NotFound when there is none or it has no bundle yet."""
    layout = NodeLayout(state.absolute())  # borg and ssh get these paths from other working folders
    clock = clock or SystemClock()
    identity, bundle = load_territory(layout)
    ageing = AgeingClock(layout.ageing, clock, keep=_is_ours(layout.vault))
    journal = Journal(layout.journal if _is_ours(layout.root) else None, clock)
    return Node(layout, identity.name, bundle, clock, ageing, journal)


def _is_ours(folder: Path) -> bool:
    """Whether it is this account's. On hosts each part of a node has its own, which what root wrote would lock out."""
    return not folder.exists() or folder.stat().st_uid == os.geteuid()
