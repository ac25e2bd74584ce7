"""The life of the voters: who leads, and a store that comes back from a snapshot without going back."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.coordination.argv import REVISION_BUMP
from appliance.coordination.etcd import Etcd
from appliance.coordination.port import Ended, Lost, ServiceRecord
from appliance.errors import IntegrityError, Unreachable
from appliance.voter import restoring
from appliance.voter.etcd_admin import EtcdAdmin
from appliance.voter.maintenance_rules import MemberStatus, heir
from appliance.voter.members import Changes, changes, names, reconcile
from appliance_lab.processes.etcd import EtcdProcess, EtcdProcesses
from appliance_lab.processes.node import free_ports
from tests.integration.coordination.made_up_voters import listening, saying
from tests.integration.coordination.worlds import (
    HEARTBEAT_MILLISECONDS,
    LATE_SECONDS_MAX,
    TIME,
    RealEtcd,
    claim,
    held,
    leader_of,
    new_service,
)

pytestmark = pytest.mark.usefixtures("runner")


@pytest.fixture
def three(tmp_path: Path) -> Iterator[EtcdProcesses]:
    with EtcdProcesses(tmp_path / "etcd", count=3, heartbeat_milliseconds=HEARTBEAT_MILLISECONDS) as made:
        yield made


@contextlib.asynccontextmanager
async def caring(processes: EtcdProcesses) -> AsyncIterator[list[EtcdAdmin]]:
    cares = [EtcdAdmin(voter) for voter in processes.addresses]
    try:
        yield cares
    finally:
        for admin in cares:
            await admin.close()


async def test_the_lead_goes_to_whom_it_is_kept_at_and_no_lease_ends(three: EtcdProcesses) -> None:
    world = RealEtcd(three)
    lease = await held(world, new_service())
    async with caring(three) as cares:
        members = await cares[0].members()
        assert set(members) == {"voter-0", "voter-1", "voter-2"}
        for name in ("voter-2", "voter-0", "voter-1"):
            leader, status = await leader_of(cares)
            if wanted := heir(status, members, name):
                await leader.hand_over(wanted)
            assert (await leader_of(cares))[1].member == members[name]
            lease = await world.at("commune-a").renew(lease)
    await world.close()


async def test_a_voter_whose_disk_was_lost_comes_back_as_another_one(three: EtcdProcesses) -> None:
    world = RealEtcd(three)
    lease = await held(world, new_service())
    lost = three.voters[2]
    async with caring(three) as cares:
        before = await cares[0].listed()
        lost.kill()
        shutil.rmtree(lost.member.data)
        url = lost.member.members[lost.member.name]
        wanted = changes(before, tuple(lost.member.members.values()), [url])
        assert ([it.peer_url for it in wanted.gone], wanted.stay, wanted.add, wanted.wait) == ([url], 0, url, ())
        assert await reconcile(cares[0], wanted) == wanted.gone
        lost.start(joins=True)
        await stands(cares[2], leads=True)
        after = await cares[0].listed()
    assert {it.peer_url for it in after} == {it.peer_url for it in before}
    assert len({it.member for it in after} - {it.member for it in before}) == 1
    assert changes(after, tuple(lost.member.members.values()), []) == Changes()
    three.voters[0].kill()
    await world.at("commune-a").renew(lease)
    await world.close()


@pytest.mark.parametrize("dead", [False, True], ids=["that-run", "one-of-them-dead"])
async def test_two_of_three_voters_are_replaced_one_by_one_and_the_third_never_stands_alone(
    three: EtcdProcesses, tmp_path: Path, dead: bool
) -> None:
    """A voter that removed both first was then one of two, the other of which never began: nothing was ever agreed."""
    world = RealEtcd(three)
    lease = await held(world, new_service())
    stays, *leaving = three.voters
    if dead:
        leaving[1].kill()
    joining = joins(stays, tmp_path)
    wanted = joining[0].member.members
    known = {url: name for name, url in wanted.items()}
    try:
        async with caring(three) as cares:
            for index, new in enumerate(joining):
                empty = [wanted[it.member.name] for it in joining[index:]]
                gone = await reconcile(cares[0], changes(await cares[0].listed(), tuple(wanted.values()), empty))
                if dead and not index:
                    assert [it.peer_url for it in gone] == [own_url(leaving[1])], "the other one is needed"
                lease = await world.at("commune-a").renew(lease)
                new.member = replace(new.member, members=names(await cares[0].listed(), known))
                new.start(joins=True)
            async with asyncio.timeout(LATE_SECONDS_MAX):
                while set(await cares[0].members()) != set(wanted):
                    await asyncio.sleep(0.05)
        await world.at("commune-a").renew(lease)
        await world.close()
    finally:
        for new in joining:
            new.kill()


def joins(stays: EtcdProcess, folder: Path) -> list[EtcdProcess]:
    """Two voters that are to vote with `stays`; none of them has begun."""
    ports = free_ports("127.0.0.1", 4)
    urls = [f"http://127.0.0.1:{it}" for it in ports]
    old = stays.member
    voters = {old.name: old.members[old.name], "voter-3": urls[0], "voter-4": urls[1]}
    members = [
        replace(old, name=name, data=folder / name, client_url=client, members=voters)
        for name, client in zip(("voter-3", "voter-4"), urls[2:], strict=True)
    ]
    return [EtcdProcess(it, folder / f"{it.name}.log") for it in members]


def own_url(voter: EtcdProcess) -> str:
    return voter.member.members[voter.member.name]


async def test_a_start_that_the_others_refused_leaves_no_log_and_does_not_keep_it_out(three: EtcdProcesses) -> None:
    """The role `coordination` and the unit of a voter tell by its log whether it remembers anything."""
    lost = three.voters[2]
    data = lost.member.data / "member"
    assert (data / "wal").is_dir()
    async with caring(three) as cares:
        lost.kill()
        shutil.rmtree(lost.member.data)
        lost.start()
        async with asyncio.timeout(LATE_SECONDS_MAX):
            while not lost.ended():
                await asyncio.sleep(0.01)
        assert (data.is_dir(), (data / "wal").exists()) == (True, False)
        url = lost.member.members[lost.member.name]
        await reconcile(cares[0], changes(await cares[0].listed(), tuple(lost.member.members.values()), [url]))
        lost.start(joins=True)
        await stands(cares[2], leads=True)
        assert (data / "wal").is_dir()


async def stands(admin: EtcdAdmin, *, leads: bool) -> MemberStatus:
    """How the voter of `admin` stands once it knows a leader, or none: on a busy machine a call may come to nothing."""
    async with asyncio.timeout(LATE_SECONDS_MAX):
        while True:
            with contextlib.suppress(Unreachable):
                status = await admin.status()
                if bool(status.leader) == leads:
                    return status
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("leader", "member", "preferred", "expected"),
    [
        (1, 1, "hermitage", 2),
        (2, 2, "hermitage", 0),
        (1, 3, "hermitage", 0),
        (0, 3, "hermitage", 0),
        (1, 1, "nobody", 0),
    ],
)
def test_only_who_leads_hands_over_and_only_to_a_member(
    leader: int, member: int, preferred: str, expected: int
) -> None:
    assert heir(MemberStatus(member, leader, 0, 1), {"commune-a": 1, "hermitage": 2}, preferred) == expected


async def test_a_voter_that_is_alone_says_how_it_stands(three: EtcdProcesses) -> None:
    for voter in three.voters[1:]:
        voter.kill()
    async with caring(three) as cares:
        status = await stands(cares[0], leads=False)
        assert status.member == (await cares[0].members())["voter-0"]
        assert status.size_bytes


async def test_a_store_restored_from_a_snapshot_never_goes_back(three: EtcdProcesses, tmp_path: Path) -> None:
    world = RealEtcd(three)
    other, service = new_service(), new_service()
    before = await held(world, other)
    first = await held(world, service)
    file = tmp_path / "snapshot"
    async with caring(three) as cares:
        with file.open("wb") as snapshot:
            async for piece in cares[0].snapshot():
                snapshot.write(piece)
    # After the snapshot the service goes to another; then all voters lose their disks.
    await world.at("commune-a").release(first, "flood", TIME)
    released = await world.at("commune-b").read(service)
    forgotten = await world.at("commune-b").acquire(claim(service, "commune-b", seen=released.owned, ttl=60))
    await world.close()
    for voter in three.voters:
        voter.kill()
        voter.member.data.rename(voter.member.data.with_suffix(".lost"))
        restoring.restore(voter.member, restoring.look_at(file))
        voter.start()
    restored = Etcd(three.addresses, SystemClock())
    record = await read_when_ready(restored, service)
    assert record.revision > REVISION_BUMP
    assert record.owned == first.revision, "the store knows what it knew"
    with pytest.raises(Lost):
        await restored.renew(forgotten)
    assert (await restored.renew(before)).revision == before.revision, "what did not change goes on"
    assert [event async for event in restored.watch(released)][-1] == Ended(
        "the store no longer has the changes after the last seen revision."
    )
    await restored.release(before, "moved", TIME)
    owned = (await restored.read(other)).owned
    new = await restored.acquire(claim(other, "commune-b", seen=owned))
    assert new.revision > REVISION_BUMP > forgotten.revision
    await restored.close()


async def test_a_snapshot_that_is_cut_short_is_none() -> None:
    whole = b'{"result":{"blob":"' + b"QUFB" * 40 + b'"}}\n'
    async with listening(saying(whole)) as voter:
        admin = EtcdAdmin(voter)
        with pytest.raises(IntegrityError, match="cut short"):
            _ = [piece async for piece in admin.snapshot()]
        await admin.close()


async def read_when_ready(client: Etcd, service: str) -> ServiceRecord:
    async with asyncio.timeout(LATE_SECONDS_MAX):
        while True:
            with contextlib.suppress(Unreachable):
                return await client.read(service)
            await asyncio.sleep(0)
