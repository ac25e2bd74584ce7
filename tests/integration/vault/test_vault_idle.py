"""The sealing helper of a host runs for its callers alone: it ends when nobody asks, and the next request starts it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from appliance.backup.vault.sealing.sealer import Sealer
from appliance.node.handle import Node
from tests.integration.vault.accounts import Place, host
from tests.integration.vault.sealing import held, push
from tests.waiting import wait_until
from tests.worlds.activation import Activated
from tests.worlds.vaults import HOLDER, SERVICE

pytestmark = pytest.mark.root

IDLE_SECONDS = 0.3
ENDS_AS_A_CALL_COMES = """
import select, sys
from pathlib import Path
def is_idle(self):
    Path(sys.argv[1], "vault", "decided").touch()
    select.select([3], [], [])
    return True
sealer_server.Server._is_idle = is_idle
"""


@pytest.fixture
def place() -> Iterator[Place]:
    with host(IDLE_SECONDS) as found:
        yield found


def activated(place: Place) -> Activated:
    assert place.activated is not None
    return place.activated


def prepare(node: Node, sealer: Sealer) -> None:
    sealer.prepare(SERVICE)


def test_the_helper_runs_for_a_request_and_ends_with_0_when_nobody_asks(place: Place) -> None:
    assert activated(place).process is None, "nobody asked for anything yet"
    grant = place.vaults.grant()
    made = place.vaults.chain(grant, 2)
    assert push(place, made[:1], [grant])
    activated(place).wait_for_end()
    assert push(place, made[1:], [grant]), "the next request starts it again"
    activated(place).wait_for_end()
    assert len(held(place)) == 2
    assert set(activated(place).codes) == {0}
    assert len(activated(place).codes) >= 2


def test_a_request_that_comes_while_the_helper_ends_is_answered() -> None:
    """It decides to end, and only then does the request come."""
    with host(IDLE_SECONDS, before=ENDS_AS_A_CALL_COMES) as place:
        place.as_receiver(prepare)
        wait_until((place.vaults.layout(HOLDER).vault / "decided").exists, "the helper decides to end")
        place.as_receiver(prepare)
        assert activated(place).codes == [0], "the first one ended, and the second call was answered"


def test_a_killed_helper_is_started_by_the_next_request(place: Place) -> None:
    place.as_receiver(prepare)
    process = activated(place).process
    assert process is not None
    process.kill()
    activated(place).wait_for_end()
    place.as_receiver(prepare)
    assert activated(place).codes[0] == -signal.SIGKILL


def test_each_start_writes_down_how_old_the_machine_is(place: Place) -> None:
    """So the timer, which starts it without a request, bounds what a power cut takes of the age."""
    path = place.vaults.layout(HOLDER).ageing
    place.as_receiver(prepare)
    activated(place).wait_for_end()
    age = json.loads(path.read_bytes())
    past = {**age, "boottime": age["boottime"] - 3600.0}  # as if it had ended an hour ago
    path.write_text(json.dumps(past))
    place.as_receiver(prepare)
    activated(place).wait_for_end()
    assert json.loads(path.read_bytes())["age_seconds"] >= age["age_seconds"] + 3600.0
