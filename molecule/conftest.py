"""The hosts of the scenarios, as somebody sees them who logs in by SSH."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

LAB = Path("/var/lib/appliance-lab/labs/molec")
NODES = ("hermitage", "commune-a", "commune-b", "commune-c")
JOURNAL = "journalctl -b -n 80 --no-pager"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows the end of the journal of its host, or of all where it named none."""
    report = yield
    if report.failed:
        looked_at = item.funcargs.get("node")
        hosts = [looked_at] if isinstance(looked_at, Host) else [host(name) for name in NODES]
        report.sections += [(f"journal of {it.backend.hostname}", journal(it)) for it in hosts]
    return report


def journal(it: Host) -> str:
    """The end of what the host wrote since it started, or why nobody could log in to read it."""
    try:
        return it.run(JOURNAL).stdout
    except RuntimeError as error:
        return str(error)


def host(node: str) -> Host:
    """The node `node`, as root."""
    return testinfra.get_host(f"ssh://{node}", ssh_config=str(LAB / "ssh_config"))


@pytest.fixture(scope="session")
def at() -> Callable[[str], Host]:
    """`at("commune-a")`: that host, as root."""
    return host


@pytest.fixture(params=NODES)
def node(request: pytest.FixtureRequest, at: Callable[[str], Host]) -> Host:
    """Each host in turn."""
    return at(request.param)
