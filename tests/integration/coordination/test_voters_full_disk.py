"""Voters whose disks have not one free byte: no lease that lasts goes to another, and none that ended is kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.coordination.port import Lease, Lost, Taken
from appliance.errors import ApplianceError, Unreachable
from appliance.host.command import run
from appliance.units import MIB
from appliance_lab.processes.disks import Disk
from appliance_lab.processes.etcd import EtcdProcesses
from tests.integration.coordination.worlds import (
    HEARTBEAT_MILLISECONDS,
    LATE_SECONDS_MAX,
    NODES,
    TTL,
    RealEtcd,
    claim,
    held,
    new_service,
)
from tests.integration.small_disk import mount

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("runner")]

SIZE_BYTES = 192 * MIB
"""etcd takes 128 of them for its log before it begins."""
HOME, RIVAL = NODES[0], NODES[1]
CLAIMS_MAX = 2000


@dataclass
class Town:
    """Three voters, each on a small disk of its own."""

    etcd: EtcdProcesses
    disks: tuple[Disk, ...]

    def fill(self, *numbers: int) -> None:
        """Fill the disks, with the room that etcd gives back meanwhile."""
        for number in numbers:
            self.disks[number].fill()

    def ended(self, *numbers: int) -> bool:
        return all(self.etcd.voters[number].ended() for number in numbers)

    def make_room(self) -> None:
        """And start those that ended, as systemd does."""
        for disk, voter in zip(self.disks, self.etcd.voters, strict=True):
            disk.empty()
            if voter.ended():
                voter.start()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    folder = tmp_path / "etcd"
    places = [folder / f"voter-{number}" for number in range(3)]
    with contextlib.ExitStack() as stack:
        for place in places:
            place.mkdir(parents=True)
            mount(place, SIZE_BYTES)
            stack.callback(run, ("umount", "--lazy", str(place)), timeout_seconds=20, check=True)
        made = EtcdProcesses(folder, count=3, heartbeat_milliseconds=HEARTBEAT_MILLISECONDS)
        yield Town(stack.enter_context(made), tuple(Disk(place) for place in places))


async def claim_while_full(world: RealEtcd, town: Town, *full: int) -> list[Lease]:
    """Claim new services, which is what writes, until one of the voters `full` is left at most, or the only one
    has ended; those that were acknowledged."""
    claimed = []
    for _ in range(CLAIMS_MAX):
        if sum(town.ended(number) for number in full) >= max(1, len(full) - 1):
            return claimed
        town.fill(*(number for number in full if not town.ended(number)))
        with contextlib.suppress(ApplianceError):
            claimed.append(await held(world, new_service()))
    raise AssertionError(f"{CLAIMS_MAX} claims were written without room")


async def in_time[Answer](ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer of `ask()` once a majority gives one."""
    async with asyncio.timeout(LATE_SECONDS_MAX):
        while True:
            with contextlib.suppress(Unreachable):
                return await ask()
            await asyncio.sleep(0.01)


async def all_are_at_home(world: RealEtcd, holdings: Iterable[Lease]) -> None:
    for it in holdings:
        record = await in_time(lambda it=it: world.at(RIVAL).read(it.service))
        assert record.holder is not None
        assert record.holder.node == HOME


@pytest.mark.parametrize("full", [0, 1, 2])
async def test_one_voter_without_a_free_byte_costs_no_lease_and_refuses_no_claim(town: Town, full: int) -> None:
    """It ends at its next write; with room it comes back and knows what was claimed meanwhile."""
    world = RealEtcd(town.etcd)
    lease = await held(world, new_service())
    town.fill(full)
    claimed = await claim_while_full(world, town, full)
    lease = await in_time(lambda: world.at(HOME).renew(lease))
    claimed.append(await in_time(lambda: held(world, new_service())))
    town.make_room()
    town.etcd.voters[(full + 1) % 3].kill()
    await all_are_at_home(world, (lease, *claimed))
    await world.close()


async def test_without_a_majority_that_has_a_free_byte_nobody_else_gets_what_is_held(town: Town) -> None:
    """A caller that could get no answer gets no wrong one: with room all that was acknowledged is there."""
    world = RealEtcd(town.etcd)
    service = new_service()
    lease = await held(world, service)
    owned = (await world.at(RIVAL).read(service)).owned
    town.fill(0, 1, 2)
    claimed = await claim_while_full(world, town, 0, 1, 2)
    with pytest.raises((Unreachable, Taken)):
        await world.at(RIVAL).acquire(claim(service, RIVAL, seen=owned))
    town.make_room()
    renewed = await in_time(lambda: world.at(HOME).renew(lease))
    assert renewed.lease == lease.lease
    with pytest.raises(Taken):
        await in_time(lambda: world.at(RIVAL).acquire(claim(service, RIVAL, seen=owned)))
    await all_are_at_home(world, claimed)
    await world.close()


async def test_a_lease_that_ended_while_no_voter_had_a_free_byte_is_not_kept(town: Town) -> None:
    """Its holder is gone. Once a majority writes again the lease ends, and another node gets the service."""
    world = RealEtcd(town.etcd)
    service = new_service()
    lease = await world.at(HOME).acquire(claim(service, ttl=TTL))
    town.fill(0, 1, 2)
    await claim_while_full(world, town, 0, 1, 2)
    town.make_room()
    since = await in_time(lambda: world.at(RIVAL).read(service))
    gone = since if since.holder is None else await world.wait_gone(RIVAL, service, since)
    taken = await in_time(lambda: world.at(RIVAL).acquire(claim(service, RIVAL, seen=gone.owned)))
    assert taken.node == RIVAL
    with pytest.raises(Lost):
        await in_time(lambda: world.at(HOME).renew(lease))
    await world.close()
