"""The hosts of the scenarios, as somebody sees them who logs in by SSH."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

LAB = Path("/var/lib/appliance-lab/labs/molec")
NODES = ("hermitage", "commune-a", "commune-b", "commune-c")


@pytest.fixture(scope="session")
def at() -> Callable[[str], Host]:
    """`at("commune-a")`: that host, as root."""
    return lambda node: testinfra.get_host(f"ssh://{node}", ssh_config=str(LAB / "ssh_config"))


@pytest.fixture(params=NODES)
def node(request: pytest.FixtureRequest, at: Callable[[str], Host]) -> Host:
    """Each host in turn."""
    return at(request.param)
