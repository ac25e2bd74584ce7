"""Labs for tests: real hosts, as root. One is up at a time, and each test file has its own, or its folder.

They are a group of their own and come first: one worker has enough to do with them, and the other does the rest
meanwhile. What takes minutes is left to `make story-lab` and `make soak SUITE=life`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.host.command import run
from appliance_lab.hosts import lab as labs
from appliance_lab.hosts import machine, needs
from appliance_lab.hosts.lab import Lab
from appliance_lab.hosts.paths import HostPaths
from appliance_lab.hosts.plan import Node
from appliance_lab.hosts.template import up_provisioned
from appliance_lab.stories.context import ORIGIN, SERVICE, StoryContext
from appliance_lab.stories.left import look
from appliance_lab.stories.promises import LAB_KEPT, LAB_NAME
from tests.conftest import boots_hosts
from tests.integration.lab.boxes import Boxes

ROOT = Path(__file__).parents[3]
JOURNAL = ("journalctl", "-b", "-n", "80", "--no-pager")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--story", None):
        return  # a story has an order of its own
    # Hosts take longest and begin first; services that move come last, so that a run whose time is over lacks those.
    items.sort(key=lambda item: (not boots_hosts(item), item.path.parent.name == "moving"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows the end of its nodes' journals."""
    report = yield
    if report.failed:
        report.sections += [(f"journal of {it.name}", journal(it)) for it in nodes_of(item)]
    return report


def nodes_of(item: pytest.Function) -> tuple[Node, ...]:
    """The nodes of the lab that the test stands on; none where it is down already."""
    try:
        for fixture in item.funcargs.values():
            if isinstance(fixture, Boxes):
                return fixture.open().plan.nodes
            if isinstance(fixture, Lab):
                return fixture.plan.nodes
    except ApplianceError:
        pass
    return ()


def journal(node: Node) -> str:
    """The end of what `node` wrote since it started, or why that cannot be read."""
    try:
        return run(machine.enter_argv(node, JOURNAL), timeout_seconds=300).stdout.decode(errors="replace")
    except (ApplianceError, OSError) as error:
        return str(error)


@contextmanager
def provisioned_lab(request: pytest.FixtureRequest, name: str) -> Iterator[Lab]:
    """The lab of inventory/lab with every node as its territory says, up for what `request` is made for; called `name`,
    or as a story says."""
    if reason := needs.why_not():
        pytest.skip(f"no lab here: {reason}")
    if shutil.which("ansible-playbook") is None:
        pytest.skip("ansible-core is not installed: scripts/setup lab")
    paths, name = HostPaths(), os.environ.get(LAB_NAME, name)
    try:
        yield up_provisioned(paths, name, ROOT / "inventory/lab", print)
    finally:
        is_last = request.session.items[-1].path.is_relative_to(request.path)
        if not (is_last and os.environ.get(LAB_KEPT)):
            labs.down(paths, name, print)


@pytest.fixture(scope="module")
def provisioned(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A provisioned lab of the test file's own, named after it."""
    with provisioned_lab(request, request.path.stem.removeprefix("test_").replace("_", "-")[:12].rstrip("-")) as lab:
        yield lab


@pytest.fixture(scope="module")
def context(provisioned: Lab) -> StoryContext:
    """The same lab, once the first backup of commune-a is safe."""
    name = provisioned.plan.lab
    context = StoryContext(name, Path(provisioned.state.inventory), print, look(name))
    context.wait_until_safe(SERVICE, ORIGIN)
    return context
