"""The home of a service that moves is lost with its disk; another machine takes its place while the standby serves."""

from __future__ import annotations

import json

from appliance_lab.processes.run import save
from tests.integration.failover.conftest import HOME, SERVICE, STANDBY, Begin, violated


def test_a_replaced_home_takes_its_service_home_with_all_that_the_standby_wrote(begin: Begin) -> None:
    """As `make story-failover` shows on hosts, by the playbook; here what that types is typed."""
    world = begin("exclusive")
    world.kill(HOME)
    world.wait_for(STANDBY, "ACTIVE")
    assert world.add(100) == STANDBY
    world.replace(HOME)
    new, keys = world.node(HOME), world.node(STANDBY).cli("--json", "escrow", "export-keys", HOME).stdout
    taken = new.cli("--json", "escrow", "import-keys", "/dev/stdin", stdin=keys).stdout
    assert json.loads(taken)["taken"] == [SERVICE]
    asks = ("backup", "resync", "--all", "--request", str(world.territory.root))
    early = new.cli(*asks, check=False)
    assert (early.exit_code, b"whether hermitage serves it" in early.stderr) == (1, True), early.tail()
    world.start(HOME)
    world.tell("nemesis", 0, "heal", fault="kill", target=HOME)
    world.wait_for(HOME, "STANDBY")
    left = new.cli(*asks, check=False)
    assert (left.exit_code, b"docs-a is left to hermitage, which serves it" in left.stderr) == (3, True), left.tail()
    assert world.add(101) == STANDBY
    world.tell("operator", 0, "handover", to=HOME)
    new.cli("failover", "move", SERVICE, HOME, "--timeout", "60")
    world.wait(lambda: world.add(102) == HOME, "it is served at home")
    assert world.read()["numbers"] == [0, 1, 2, 100, 101, 102]
    world.wait_for(STANDBY, "STANDBY")
    assert save(world, HOME), "it is at its peers"
    assert violated(world) == {}
