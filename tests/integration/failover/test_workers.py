"""Workers for takeovers: one is called before there is an order, and none waits long for a peer that is silent."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from appliance.backup.peers.conversation import URGENT_SECONDS, Lines
from appliance.backup.peers.fetch import survey_all
from appliance.errors import Refused
from appliance.failover.copies import BackupCopies
from appliance.host.processes import processes_running
from appliance.node.current import Current
from appliance_lab.processes.node import SSHD
from tests.integration.failover.conftest import SERVICE, Begin
from tests.pace import LONG

STANDBY = "hermitage"


def test_a_worker_that_was_called_gets_the_next_order_and_one_that_has_gone_is_replaced(
    begin: Begin,
) -> None:
    world = begin("exclusive")
    standby = world.territory.open(STANDBY)

    async def play() -> None:
        copies = BackupCopies(Current(standby.layout.root))

        async def called(service: str = SERVICE, number: int = 1) -> set[int]:
            copies.expect(service)
            async with asyncio.timeout(20 * LONG):
                while len(workers()) < number:
                    await asyncio.sleep(0.01)
            return workers()

        async def pull() -> None:
            """The agent beside it may have the service in use for a moment; failover asks again then, too."""
            async with asyncio.timeout(20 * LONG):
                while True:
                    try:
                        return await copies.pull(SERVICE)
                    except Refused as error:
                        if "in use" not in error.what:
                            raise
                        await asyncio.sleep(0.1)

        first = await called()
        copies.expect(SERVICE)
        assert await called() == first
        await pull()
        assert not workers(), "what it was called for is done"
        [gone] = await called()
        os.kill(gone, signal.SIGKILL)
        await pull()
        assert not workers()
        await called()
        await called("appliance-commune-a", 2)
        copies.expect("docs-b")
        await pull()
        assert len(workers()) == 1
        await copies.close()
        assert not workers()

    asyncio.run(play())
    assert (standby.service(SERVICE).root / "fetched").exists()


def test_a_worker_is_at_hand_before_the_lease_of_a_silent_writer_ends(begin: Begin) -> None:
    world = begin("exclusive", lease_seconds=15)
    state = str(world.territory.open(STANDBY).layout.root)
    told_at_home = world.node("commune-a").layout.failover_history
    world.wait(lambda: told_at_home.read_text().count("renewal-proven") > 2, "brokers have told who serves it")
    for early in workers(state):
        os.kill(early, signal.SIGKILL)
    world.wait(lambda: not workers(state), "nobody is called")
    world.kill("commune-a")
    world.wait(lambda: workers(state), "a worker is called")
    told = world.told(STANDBY)
    assert (told["state"], told["holder"]) == ("STANDBY", "commune-a")


def test_whoever_waits_for_a_service_waits_for_a_silent_peer_once(begin: Begin) -> None:
    world = begin("exclusive")
    standby = world.territory.open(STANDBY)
    sshd = next(it for it in world.node("commune-b").processes if str(SSHD) in str(it.args))
    sshd.send_signal(signal.SIGSTOP)
    try:
        with Lines(standby, urgent=True) as lines:
            found = survey_all(standby, SERVICE, lines)
            assert set(found.silent) == {"commune-b"}
            begun = time.monotonic()
            assert set(survey_all(standby, SERVICE, lines).silent) == {"commune-b"}
            assert time.monotonic() - begun < URGENT_SECONDS / 2
    finally:
        sshd.send_signal(signal.SIGCONT)


def workers(of: str = "") -> set[int]:
    """Workers for takeovers that this program called, or for the node whose state folder is `of`."""
    found = processes_running("appliance.failover.takeover_worker")
    return {it.pid for it in found if (of or str(os.getpid())) in it.argv}
