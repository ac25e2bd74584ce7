"""The ground of every comparison: the demo's territory, its origin's documents, and two peers that take copies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from appliance.config.load import load
from appliance.errors import ApplianceError
from appliance.host.files import make_private_folder
from appliance.territory.model import Territory
from appliance.units import GIB
from appliance_lab.bench.measure import listening
from appliance_lab.checkout import inventories
from appliance_lab.demo.context import BLIND, ORIGIN, SERVICE, STANDBY
from appliance_lab.processes.node import ProcessNode, free_ports
from appliance_lab.processes.territory import ProcessTerritory, on_ports

ADDRESS = "127.0.0.1"
PEERS = (STANDBY, BLIND)


@dataclass
class BenchEnv:
    """A territory under `root` whose service SERVICE is begun at ORIGIN and saves `documents`."""

    root: Path
    documents: Path
    territory: ProcessTerritory

    @property
    def origin(self) -> ProcessNode:
        return self.territory.nodes[ORIGIN]

    @property
    def peers(self) -> tuple[ProcessNode, ...]:
        return tuple(self.territory.nodes[name] for name in PEERS)

    def listening(self) -> AbstractContextManager[None]:
        """The listeners of both peers, started."""
        return listening(self.peers)

    def back_up(self) -> None:
        """Back up as an operator types it: it reads, seals, pushes to both peers at once and ends safe."""
        result = self.origin.cli("backup", "run", SERVICE, timeout_seconds=3600, check=False)
        # The corpus has nothing that cannot be read, so anything but 0 is a failure here.
        if result.exit_code != 0:
            raise ApplianceError(f"the backup ended with {result.exit_code}: {result.tail()}")

    def wipe(self) -> None:
        self.territory.stop()
        shutil.rmtree(self.root, ignore_errors=True)


def make_env(root: Path, documents: Path, size_bytes: int) -> BenchEnv:
    """Make the territory at `root`, emptied first; `size_bytes` is about what `documents` hold."""
    shutil.rmtree(root, ignore_errors=True)
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # sshd started by root separates privileges there
    territory = ProcessTerritory(make_private_folder(root), _plan(documents, size_bytes))
    territory.create()
    territory.sign()
    territory.begin_services()
    return BenchEnv(root, documents, territory)


def _plan(documents: Path, size_bytes: int) -> Territory:
    plan = with_room(size_bytes)
    service = replace(plan.service(SERVICE), paths=(str(documents),))
    return on_ports(replace(plan, services={SERVICE: service}), _free_ports(plan))


def with_room(size_bytes: int) -> Territory:
    """The demo's, with room for what is measured: a quota refuses, it does not slow down."""
    plan = load(inventories() / "demo")
    room = 10 * size_bytes + 10 * GIB
    nodes = {name: replace(node, disk_bytes=room, offered_bytes=room) for name, node in plan.nodes.items()}
    service = replace(
        plan.service(SERVICE),
        size_bytes=size_bytes,
        change_bytes_per_day=size_bytes,
        quota_bytes=8 * size_bytes + GIB,
    )
    return replace(plan, nodes=nodes, services={**plan.services, SERVICE: service})


def _free_ports(plan: Territory) -> Mapping[str, int]:
    return dict(zip(plan.nodes, free_ports(ADDRESS, len(plan.nodes)), strict=True))
