"""A box dies, another one serves in its place, and the box comes back with writes of its own: what is printed leads to
one history at its origin, and nothing of either side is lost.

Real voters, brokers, failover programs and watchdogs, as in tests/integration/failover.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.config.load import load
from appliance.escrow.age import generate
from appliance_lab.processes.failover import BOUND_SECONDS, FailoverWorld, failover_world
from appliance_lab.processes.writer import FILE
from tests.integration.operator.boxes import Boxes, may_start_sshd
from tests.integration.operator.obeying import Operator
from tests.pace import LONG, PACE
from tests.worlds.demo import INVENTORY, with_operator

SERVICE, HOME, STANDBY = "docs-a", "commune-a", "hermitage"
LEASE_SECONDS = round(3 * max(1.0, PACE / 2))
LOST_WITH_THE_BOX = 99
"""Acknowledged by the box, and not saved before it died."""


@pytest.fixture
def world(tmp_path: Path, operator_key: Path) -> Iterator[FailoverWorld]:
    """`docs-a` is served at its origin and saved; the recovery key is in the bundle."""
    may_start_sshd()
    plan = with_operator(load(INVENTORY), operator_key)
    bound = LONG * BOUND_SECONDS
    with failover_world(
        tmp_path, plan, SERVICE, policy="exclusive", lease_seconds=LEASE_SECONDS, bound_seconds=bound
    ) as made:
        made.territory.recovery = generate().public
        made.territory.sign()
        made.wait_for(HOME, "ACTIVE")
        made.wait(lambda: made.add(0) == HOME, "it is served at its origin")
        made.wait(lambda: made.node(HOME).cli("backup", "run", SERVICE).exit_code == 0, "it is saved")
        made.wait_for(STANDBY, "STANDBY")
        yield made


def test_a_box_that_comes_back_after_a_takeover_gets_its_service_and_its_writes(
    world: FailoverWorld, tmp_path: Path
) -> None:
    boxes = Boxes(tmp_path, dict(world.territory.nodes), {})
    operator = Operator(boxes)
    try:
        operator.settle()
        assert world.add(LOST_WITH_THE_BOX) == HOME
        world.kill(HOME)
        boxes.nodes = {name: it for name, it in world.territory.nodes.items() if name != HOME}
        world.wait(lambda: world.add(100) == STANDBY, "another one serves in its place")
        world.start(HOME)
        boxes.nodes = world.territory.nodes
        world.wait((world.node(HOME).layout.service(SERVICE).root / "branches/2").exists, "its writes are kept")
        world.wait_for(HOME, "STANDBY")
        operator.settle()
    finally:
        print("\n".join(boxes.typed))
    world.wait(lambda: world.add(101) == HOME, "it is served at its origin again")
    assert {0, 100, 101} <= set(world.read()["numbers"])
    folder = world.node(HOME).layout.machine / world.territory.territory.service(SERVICE).paths[0].lstrip("/")
    beside = [it.read_text().split() for it in folder.rglob(f"{Path(FILE).stem}*") if it.name != FILE]
    assert any(str(LOST_WITH_THE_BOX) in it for it in beside), "its own version is put beside"
