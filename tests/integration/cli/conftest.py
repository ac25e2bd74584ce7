"""A territory that is built by typing, and one that is ready."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.escrow.age import generate
from appliance.trust.keys import create_key
from appliance_lab.processes.node import ProcessNode
from tests.integration.cli.typed import Typed, write_plan


@pytest.fixture
def typed(tmp_path: Path, documents: Path, operator_key: Path) -> Iterator[Typed]:
    """Nothing is made yet but a plan on free ports, the territory key and the paper; sshds are stopped at the end."""
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    desk = tmp_path / "desk"
    desk.mkdir()
    create_key(desk / "territory")
    territory = write_plan(desk, documents, operator_key)
    made = Typed(desk, documents, generate())
    for name, node in territory.nodes.items():
        made.nodes[name] = ProcessNode(name, tmp_path / "nodes" / name, node.address, node.port)
    try:
        yield made
    finally:
        for process in made.nodes.values():
            process.stop()
        shutil.rmtree(tmp_path / "nodes", ignore_errors=True)
