"""A broker maintains the voter beside it, at real etcd; the doctor of its node reports when it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from appliance.clock import SimulatedClock
from appliance.host.journal import Journal
from appliance.host.layout import NodeLayout
from appliance.units import HOUR, MINUTE
from appliance.voter import checks, restoring
from appliance.voter.checks import problems, snapshots
from appliance.voter.etcd_admin import EtcdAdmin
from appliance.voter.maintenance import VoterMaintenance
from appliance_lab.processes.etcd import EtcdProcesses
from tests.integration.coordination.worlds import (
    HEARTBEAT_MILLISECONDS,
    LATE_SECONDS_MAX,
    RealEtcd,
    claim,
    leader_of,
    new_service,
)

pytestmark = pytest.mark.usefixtures("runner")
NAMES = ("commune-b", "commune-c", "hermitage")


@pytest.fixture
def three(tmp_path: Path) -> Iterator[EtcdProcesses]:
    folder = tmp_path / "etcd"
    with EtcdProcesses(folder, count=3, heartbeat_milliseconds=HEARTBEAT_MILLISECONDS, names=NAMES) as made:
        yield made


@contextlib.asynccontextmanager
async def caring(
    three: EtcdProcesses, layout: NodeLayout, clock: SimulatedClock, voter: int = 0
) -> AsyncIterator[VoterMaintenance]:
    layout.root.mkdir(exist_ok=True)
    layout.voter.write_text("{}")
    journal = Journal(layout.journal, clock)
    admin = EtcdAdmin(three.voters[voter].address)
    yield VoterMaintenance(admin, layout.voter_maintenance, clock, lambda: "hermitage", journal)
    await admin.close()


def said(layout: NodeLayout, clock: SimulatedClock) -> list[tuple[str, str]]:
    return [(it.state, it.sentence) for it in problems(layout, clock.now())]


async def test_whoever_leads_gives_the_lead_to_whom_it_is_kept_at(three: EtcdProcesses, tmp_path: Path) -> None:
    clock = SimulatedClock()
    async with contextlib.AsyncExitStack() as stack:
        cares = [
            await stack.enter_async_context(caring(three, NodeLayout(tmp_path / name), clock, at))
            for at, name in enumerate(NAMES)
        ]
        async with asyncio.timeout(LATE_SECONDS_MAX):
            while True:
                standings = [await it.look() for it in cares]
                leaders = {it.leader for it in standings if it}
                if (wanted := standings[2]) is not None and leaders == {wanted.member}:  # a busy one says nothing
                    break
                clock.advance(10 * MINUTE)


async def test_the_lead_stays_where_it_is_while_a_lease_runs_out_and_after_an_election(
    three: EtcdProcesses, tmp_path: Path
) -> None:
    """The next leader lets each lease start over: the service of a node that died would wait for so much longer."""
    world, clock = RealEtcd(three), SimulatedClock()
    lease = await world.at("commune-a").acquire(claim(new_service(), "commune-a", ttl=8))
    async with contextlib.AsyncExitStack() as stack:
        cares = [
            await stack.enter_async_context(caring(three, NodeLayout(tmp_path / name), clock, at))
            for at, name in enumerate(NAMES)
        ]
        at_etcd = [each.etcd for each in cares]
        admin, status = await leader_of(at_etcd)
        it, first = cares[at_etcd.index(admin)], status.member
        it.preferred = lambda: next(name for name in NAMES if name != NAMES[cares.index(it)])

        async def looked() -> list[str]:
            assert await it.look(), it.trouble
            return [event["to"] for event in it.journal.events("voter-lead-handed-over")]

        assert await looked() == [], "it leads since a moment ago"
        clock.advance(MINUTE)
        async with asyncio.timeout(LATE_SECONDS_MAX):
            while True:
                (etcd_lease,) = await it.etcd.leases()
                if etcd_lease.left_seconds == 4:
                    break
                assert etcd_lease.left_seconds > 4
        assert await looked() == []
        assert (await leader_of(at_etcd))[1].member == first
        await world.at("commune-a").renew(lease)
        assert await looked() == [it.preferred()]
        async with asyncio.timeout(LATE_SECONDS_MAX):
            while (await leader_of(at_etcd))[1].member == first:
                pass
    await world.close()


async def test_a_copy_is_made_each_hour_comes_back_as_a_store_and_older_ones_go(
    three: EtcdProcesses, tmp_path: Path
) -> None:
    layout, clock = NodeLayout(tmp_path / "node"), SimulatedClock()
    async with caring(three, layout, clock) as it:
        await it.look()
        (first,) = snapshots(layout.voter_maintenance)
        assert said(layout, clock) == []
        clock.advance(HOUR / 2)
        await it.look()
        assert list(snapshots(layout.voter_maintenance)) == [first]
        for _ in range(30):
            clock.advance(HOUR)
            await it.look()
        assert len(snapshots(layout.voter_maintenance)) == 24 + 1, "a day of hours, and one of the day before"
        clock.jump_wall(-24 * HOUR)
        before = set(snapshots(layout.voter_maintenance))
        await it.look()
        assert set(snapshots(layout.voter_maintenance)) == before, "a clock set back makes none"
    newest = snapshots(layout.voter_maintenance)[max(snapshots(layout.voter_maintenance))]
    member = three.voters[0].member
    three.voters[0].kill()
    shutil.rmtree(member.data)
    restoring.restore(member, restoring.look_at(newest))
    assert (member.data / "member").is_dir()
    assert list(layout.voter_maintenance.glob(".*")) == []


async def test_what_fails_stands_in_the_doctor_and_goes_when_it_is_well_again(
    three: EtcdProcesses, tmp_path: Path
) -> None:
    layout, clock = NodeLayout(tmp_path / "node"), SimulatedClock()
    assert said(layout, clock) == [], "who is no voter has no voter that could be ill"
    async with caring(three, layout, clock) as it:
        ((state, sentence),) = said(layout, clock)
        assert (state, sentence) == ("failed", "no broker maintains its voter: its broker has not reported its state.")
        layout.voter_maintenance.write_text("in the way")
        await it.look()
        assert "snapshot" in it.trouble
        layout.voter_maintenance.unlink()
        await it.look()
        assert it.trouble == {}
        assert said(layout, clock) == []
        for voter in three.voters[1:]:
            voter.kill()
        async with asyncio.timeout(LATE_SECONDS_MAX):
            while not said(layout, clock):
                await it.look()
        assert said(layout, clock) == [("failed", "its voter has no leader: there is no majority, or it is cut off.")]
        three.voters[0].kill()
        await it.look()
        assert said(layout, clock)[0][1].startswith("its voter does not answer: ")
        for voter in three.voters:
            voter.start()
        async with asyncio.timeout(LATE_SECONDS_MAX):
            while said(layout, clock):
                await it.look()
        clock.advance(checks.SILENT_SECONDS_MAX + 5 * MINUTE)
        assert said(layout, clock) == [("failed", "its broker has not maintained its voter for 20 min.")]
        told = it.journal.events("voter-trouble")
        assert [it["what"] for it in told] == ["snapshot", "answer"], "told once, until it is well again"


async def test_a_file_is_made_smaller_without_losing_anything(three: EtcdProcesses) -> None:
    admin = EtcdAdmin(three.voters[0].address)
    before = await admin.status()
    await admin.defragment()
    after = await admin.status()
    assert (after.member, after.revision) == (before.member, before.revision)
    assert after.size_bytes <= before.size_bytes
    assert 0 < after.used_bytes <= after.size_bytes
    await admin.close()


async def test_a_copy_that_grows_old_is_a_warning_and_then_a_failure(tmp_path: Path) -> None:
    layout = NodeLayout(tmp_path)
    layout.voter.write_text("{}")
    layout.voter_maintenance.mkdir()
    (layout.voter_maintenance / "2027-01-15T08:00:00Z.snapshot").touch()

    def at(hours: float, **more: object) -> list[tuple[str, str]]:
        now = 1_800_000_000.0 + hours * HOUR
        told = {"looked": now, "leader": 1, "size_bytes": 1, "trouble": {}, **more}
        (layout.voter_maintenance / "care.json").write_text(json.dumps(told))
        return [(it.state, it.sentence) for it in problems(layout, now)]

    assert at(1) == []
    assert at(3) == [("warning", "the newest copy of its voter's store is 3 h old.")]
    assert at(25, trouble={"snapshot": "disk full"})[0][0] == "failed"
    assert at(0.5, trouble={"snapshot": "disk full"}) == [
        ("warning", "its voter's store was not copied this hour: disk full")
    ]
    assert at(1, size_bytes=220 * 1024 * 1024)[0] == (
        "failed",
        "its voter's store is nearly full: 220 MiB of 256 MiB.",
    )
