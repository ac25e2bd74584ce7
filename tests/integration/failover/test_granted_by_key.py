"""The key holder's grant as the way out: typed as it is printed, the service is served again, with what was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance_lab.processes.failover import FailoverWorld
from tests.integration.failover.conftest import HOME, SERVICE, STANDBY, Begin, save


def grant(world: FailoverWorld, folder: Path, name: str, *more: str, code: int = 0) -> bytes:
    """Ask at `name`, sign, and adopt there; what the asking said."""
    asked, granted = folder / "request", folder / "grant"
    said = world.node(name).cli("backup", "resync", SERVICE, "--request", str(asked), *more, check=False)
    if said.exit_code not in (0, 1):
        assert said.exit_code == code, said.tail()
        return said.stderr
    granted.write_bytes(world.territory.grant(asked.read_bytes(), name))
    world.node(name).cli("backup", "resync", SERVICE, "--grant", str(granted), *more)
    return said.stderr


@pytest.mark.parametrize("policy", ["local-first", "mirror"])
def test_a_home_that_wrote_last_serves_again_once_the_key_holder_granted_it(
    policy: str, begin: Begin, tmp_path: Path
) -> None:
    """It stayed in CATCHUP for ever, or asked for a lease that a mirror never has."""
    world = begin(policy)
    save(world, HOME)
    world.end(HOME)
    grant(world, tmp_path, HOME)
    world.start(HOME)
    world.wait(lambda: world.told(HOME).get("epoch") == 4 and world.add(80) == HOME, "it is served at home again")
    save(world, HOME)


def test_a_home_gets_what_its_standby_wrote_when_the_key_holder_grants_it_anew(begin: Begin, tmp_path: Path) -> None:
    world = begin("exclusive")
    act = world.sign("promote", STANDBY, SERVICE)
    world.node(STANDBY).cli("failover", "promote", SERVICE, "--act", str(act))
    world.wait(lambda: world.add(70) == STANDBY, "the standby serves it")
    save(world, STANDBY)
    world.wait_for(HOME, "STANDBY")
    said = grant(world, tmp_path, HOME, code=8)
    assert b"hermitage serves docs-a now" in said
    assert b"appliance failover handback docs-a" in said
    grant(world, tmp_path, HOME, "--take-from", STANDBY)
    world.wait(lambda: world.add(71) == HOME, "the home serves it again")
    assert {70, 71} <= set(world.read()["numbers"]), "with what its standby wrote"
