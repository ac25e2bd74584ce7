"""Voters that are lost: no lease ends, nobody takes over, a watch says so, and all goes on when they are back."""

from __future__ import annotations

import asyncio

import pytest

from appliance.coordination.port import Lease, Lost, NoLeader, ServiceRecord
from appliance.errors import Unreachable
from tests.integration.coordination.worlds import (
    LATE_SECONDS_MAX,
    TTL,
    RealEtcd,
    World,
    claim,
    held,
    new_service,
    next_state,
)

pytestmark = pytest.mark.usefixtures("runner")


async def proven(world: World, lease: Lease) -> Lease:
    """`lease` renewed as soon as the voters answer."""
    async with asyncio.timeout(LATE_SECONDS_MAX):
        while True:
            try:
                return await world.at(lease.node).renew(lease, seconds_max=2.0)
            except Unreachable:
                await asyncio.sleep(0)


async def test_without_a_majority_everything_is_unknown_and_with_it_all_is_as_before(own_world: World) -> None:
    service = new_service()
    lease = await own_world.at("commune-a").acquire(claim(service))
    events = own_world.at("commune-b").watch(seen := await own_world.at("commune-b").read(service))
    assert await next_state(events) == seen
    await own_world.lose_majority()
    for call in (
        own_world.at("commune-a").renew(lease, seconds_max=1.0),
        own_world.at("commune-b").read(service, seconds_max=1.0),
        own_world.at("commune-b").acquire(claim(service, "commune-b", seen=lease.revision), seconds_max=1.0),
    ):
        with pytest.raises(Unreachable):
            await call
    await own_world.pass_time(3 * TTL)
    async with asyncio.timeout(LATE_SECONDS_MAX):
        last = [event async for event in events if not isinstance(event, ServiceRecord)]
    assert [type(event) for event in last] == [NoLeader], "silence would be no news"
    await own_world.regain_majority()
    # A renewal, and no failover: nobody could have taken what could not be given.
    renewed = await proven(own_world, lease)
    assert (renewed.revision, renewed.since) == (lease.revision, lease.since)
    assert renewed.sent >= lease.sent
    assert len(await own_world.at("commune-b").history(service)) == 1


async def test_a_lease_that_nobody_renews_ends_only_once_there_is_a_majority(own_world: World) -> None:
    service = new_service()
    lease = await own_world.at("commune-a").acquire(claim(service))
    await own_world.lose_majority()
    await own_world.pass_time(3 * TTL)
    await own_world.regain_majority()
    async with asyncio.timeout(LATE_SECONDS_MAX):
        while True:
            try:
                seen = await own_world.at("commune-b").read(service)
                break
            except Unreachable:
                await asyncio.sleep(0)
    assert seen.holder is not None, "the new leader lets every lease start over"
    gone = await own_world.wait_gone("commune-b", service, seen)
    await own_world.at("commune-b").acquire(claim(service, "commune-b", seen=gone.owned))
    with pytest.raises(Lost):
        await own_world.at("commune-a").renew(lease)


async def test_one_voter_of_three_may_freeze_or_die(own_world: World) -> None:
    if not isinstance(own_world, RealEtcd):
        pytest.skip("only etcd has voters to lose")
    service = new_service()
    lease = await held(own_world, service)
    for voter in own_world.processes.voters:
        voter.freeze()
        lease = await proven(own_world, lease)
        voter.thaw()
        lease = await proven(own_world, lease)
    for voter in own_world.processes.voters:
        voter.kill()
        lease = await proven(own_world, lease)
        voter.start()
        lease = await proven(own_world, lease)
    assert (await own_world.at("commune-b").read(service)).owned == lease.revision


async def test_two_voters_of_five_may_die_and_a_third_is_one_too_many(five_voters: RealEtcd) -> None:
    service, voters = new_service(), five_voters.processes.voters
    lease = await held(five_voters, service)
    for voter in voters[:2]:
        voter.kill()
        lease = await proven(five_voters, lease)
    voters[2].kill()
    with pytest.raises(Unreachable):
        await five_voters.at("commune-a").renew(lease, seconds_max=1.0)
    voters[2].start()
    assert (await proven(five_voters, lease)).revision == lease.revision


async def test_a_restart_of_all_voters_forgets_nothing(own_world: World) -> None:
    if not isinstance(own_world, RealEtcd):
        pytest.skip("only etcd has a disk")
    service = new_service()
    lease = await held(own_world, service)
    for voter in own_world.processes.voters:
        voter.kill()
    for voter in own_world.processes.voters:
        voter.start()
    assert (await proven(own_world, lease)).revision == lease.revision
    second = await held(own_world, new_service())
    assert second.revision > lease.revision, "revisions never go back"
