"""The territory of inventory/demo: with keys and a signed bundle, where nothing runs, and with four sshds running."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from appliance.config.load import load
from appliance.territory.model import Territory
from appliance_lab.processes.node import free_ports
from appliance_lab.processes.territory import ProcessTerritory, on_ports

INVENTORY = Path(__file__).parents[2] / "inventory/demo"
LOOPBACK = "127.0.0.1"


def signed_territory(root: Path, plan: Territory | None = None) -> ProcessTerritory:
    """The nodes of the demo, or of `plan`, below `root`: each has its keys and the first bundle, and nothing runs."""
    made = ProcessTerritory(root, plan or load(INVENTORY))
    made.create()
    made.sign()
    return made


def with_operator(plan: Territory, operator_key: Path) -> Territory:
    """`plan`, in which `maintenance` signs acts with `operator_key`, whose public half lies beside it."""
    public = operator_key.with_name(f"{operator_key.name}.pub").read_text().strip()
    person = replace(plan.people["maintenance"], keys=(public,))
    return replace(plan, people={"maintenance": person})


def on_free_ports(plan: Territory) -> Territory:
    """`plan`, with its nodes on free ports of this machine."""
    return on_ports(plan, dict(zip(plan.nodes, free_ports(LOOPBACK, len(plan.nodes)), strict=True)), LOOPBACK)


@contextmanager
def running_territory(
    root: Path, documents: Path, operator_key: Path, recovery: str = ""
) -> Iterator[ProcessTerritory]:
    """The territory of inventory/demo under `root`: docs-a reads `documents` and is begun, four sshds listen.

    `operator_key` is the private key of `maintenance`; its public half lies beside it. `recovery`: the
    public half of a recovery key, without which `status` warns of each service.
    """
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # sshd started by root separates privileges there
    made = ProcessTerritory(root, _plan(documents, operator_key))
    made.recovery = recovery
    try:
        made.create()
        made.sign()
        made.begin_services()
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.root, ignore_errors=True)


def _plan(documents: Path, operator_key: Path) -> Territory:
    plan = with_operator(on_free_ports(load(INVENTORY)), operator_key)
    return replace(plan, services={"docs-a": replace(plan.services["docs-a"], paths=(str(documents),))})
