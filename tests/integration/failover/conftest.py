"""A territory whose nodes fail over for each other, as plain processes; what they said is shown when a test fails."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from appliance.config.load import load
from appliance.territory.model import NEVER
from appliance_lab.checkers.invariants import CHECKS
from appliance_lab.checkers.verdict import Report, check, read
from appliance_lab.processes.failover import BOUND_SECONDS, FailoverWorld, failover_world
from tests.pace import LONG, PACE
from tests.worlds.demo import INVENTORY, with_operator

SERVICE = "docs-a"
HOME, STANDBY = "commune-a", "hermitage"
_SLOWER = max(1.0, PACE / 2)
LEASE_SECONDS = round(3 * _SLOWER)
DISTURBED_LEASE_SECONDS = round(6 * _SLOWER)
"""On two busy cores a worker that lays files takes as long as a shorter lease, and the service would go to and fro."""


class Begin(Protocol):
    def __call__(
        self, policy: str, hand_back: str = NEVER, *, disturbed: bool = False, lease_seconds: int = 0
    ) -> FailoverWorld: ...


@pytest.fixture
def begin(tmp_path: Path, operator_key: Path) -> Iterator[Begin]:
    """Start the stage with `docs-a` under a policy: served at commune-a, saved once, the hermitage standing by."""
    plan = with_operator(load(INVENTORY), operator_key)
    with contextlib.ExitStack() as stack:

        def begun(
            policy: str, hand_back: str = NEVER, *, disturbed: bool = False, lease_seconds: int = 0
        ) -> FailoverWorld:
            stack.close()  # a soak begins again and again
            root = Path(tempfile.mkdtemp(dir=tmp_path))
            stack.callback(shutil.rmtree, root, ignore_errors=True)  # the logs of etcd alone are 400 MB each time
            told: dict[str, Any] = {
                "policy": policy,
                "lease_seconds": lease_seconds or (DISTURBED_LEASE_SECONDS if disturbed else LEASE_SECONDS),
                "hand_back": hand_back,
                "disturbed": disturbed,
                "bound_seconds": LONG * BOUND_SECONDS,
                "operator_key": operator_key,
            }
            made = stack.enter_context(failover_world(root, plan, SERVICE, **told))
            stack.callback(_show, made)
            mirror = policy == "mirror"  # is written at home without a lease, and read elsewhere at all times
            made.wait_for("commune-a", "ISOLATED_RW" if mirror else "ACTIVE")
            made.wait(made.read, "it is served")
            for number in range(3):
                assert made.add(number) == "commune-a"
            save(made, "commune-a")
            made.wait_for("hermitage", "RO_SERVE" if mirror else "STANDBY")
            return made

        yield begun


def files(world: FailoverWorld, name: str) -> Path:
    """Where a node has the files of the service."""
    return world.node(name).layout.machine / world.territory.territory.service(SERVICE).paths[0].lstrip("/")


def save(world: FailoverWorld, name: str) -> None:
    """Until it is at all its peers: once in hundreds of times a line ends, and the agent would try within the hour."""
    world.wait(lambda: world.node(name).cli("backup", "run", SERVICE).exit_code == 0, f"{name} has saved it")


def judged(world: FailoverWorld) -> Report:
    """Return the checker's report on everything that was written down so far."""
    (history,) = read(world.history())
    return check(history, CHECKS)


def violated(world: FailoverWorld) -> dict[str, str]:
    return {it.name: it.sentence for it in judged(world).findings if it.verdict == "violated"}


def _show(world: FailoverWorld) -> None:
    """pytest shows it when the test failed."""
    for name, node in world.territory.nodes.items():
        for path in (*sorted(node.layout.run.glob("*.log")), node.layout.failover_history, node.layout.journal):
            if path.exists():
                print(f"== {name} {path.name}\n{path.read_text()[-6000:]}")
        print(f"== {name}: {world.told(name)}")
