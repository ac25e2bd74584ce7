"""Labs for tests: real hosts, as root. One is up at a time, and each test file has its own.

`make test HOSTS=1` runs them. They are a group of their own and come first: one worker has enough to do with them, and
the other does the rest meanwhile. What takes minutes is left to `make story-lab` and `make soak SUITE=life`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.lab.hosts import lab as labs
from appliance.lab.hosts.lab import Lab
from appliance.lab.hosts.places import Places
from appliance.lab.hosts.template import up_provisioned
from appliance.lab.stories.ground import ORIGIN, SERVICE, Ground
from appliance.lab.stories.left import look
from tests.conftest import LAB

ROOT = Path(__file__).parents[3]
PROGRAMS = ("systemd-nspawn", "mmdebstrap", "nft", "ansible-playbook")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LAB not in item.iter_markers("xdist_group"))


@pytest.fixture(scope="module")
def provisioned(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The lab of inventory/lab with every node as its territory says; named after the test file."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: scripts/setup lab")
    places, name = Places(), request.path.stem.removeprefix("test_").replace("_", "-")[:12].rstrip("-")
    try:
        yield up_provisioned(places, name, ROOT / "inventory/lab", print)
    finally:
        labs.down(places, name, print)


@pytest.fixture(scope="module")
def ground(provisioned: Lab) -> Ground:
    """The same lab, once the first backup of commune-a is safe."""
    name = provisioned.plan.lab
    ground = Ground(name, Path(provisioned.state.inventory), print, look(name))
    ground.wait_until_safe(SERVICE, ORIGIN)
    return ground
