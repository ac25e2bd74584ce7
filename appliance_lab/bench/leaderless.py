"""For how long nobody can write into a service when the voters lose their leader, and nothing else.

Plain processes with the lease and the heartbeat of a territory. A client writes twenty numbers a second; each is
acknowledged once it is on the disk of the node that serves.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from itertools import count, pairwise

from appliance.coordination.argv import Member
from appliance.errors import ApplianceError
from appliance.units import MIB
from appliance.voter.etcd_admin import EtcdAdmin
from appliance.voter.maintenance_rules import MemberStatus
from appliance_lab.bench.bench import Bench, Skipped
from appliance_lab.bench.env import with_room
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.demo.context import ORIGIN, SERVICE
from appliance_lab.processes.etcd import ETCD, EtcdProcess
from appliance_lab.processes.failover import FailoverWorld, failover_world

LEASE_SECONDS = 15
GAP_SECONDS = 3.0
BOUND_SECONDS = 600.0
BEFORE_SECONDS, WATCH_SECONDS = 1.0, 20.0
WRITE_EVERY_SECONDS = 0.05


def leaderless(bench: Bench) -> tuple[Figure, ...]:
    """Each run kills the leader, and starts it again once the outage was watched for longer than a lease."""
    if not ETCD.exists():
        raise Skipped("etcd is not installed.", remedy="Run `make setup`.")
    root = bench.work / "leaderless"
    root.mkdir(parents=True)
    numbers, gaps = count(1), []
    try:
        with failover_world(
            root,
            with_room(MIB),
            SERVICE,
            policy="exclusive",
            lease_seconds=LEASE_SECONDS,
            bound_seconds=BOUND_SECONDS,
            heartbeat_milliseconds=Member.heartbeat_milliseconds,
            election_beats=Member.election_beats,
        ) as world:
            world.wait_for(ORIGIN, "ACTIVE")
            for _ in bench.runs("the voters' leader killed while a service is written"):
                gaps.append(_gap(world, numbers))
                bench.say(f"nobody could write for {gaps[-1]:.2f} s")
    finally:
        shutil.rmtree(root, ignore_errors=True)
    title = "longest time between two writes with the voters' leader killed alone"
    notes = (f"a client that writes each {WRITE_EVERY_SECONDS} s; lease {LEASE_SECONDS} s",)
    return (Figure("leaderless-writes", title, "s", tuple(gaps), goal=Goal(GAP_SECONDS), notes=notes),)


def _gap(world: FailoverWorld, numbers: count[int]) -> float:
    leads = _leader(world)
    begun = time.monotonic()
    written = [begun]
    while (now := time.monotonic()) < begun + WATCH_SECONDS:
        if now >= begun + BEFORE_SECONDS and not leads.ended():
            leads.kill()
        if world.add(next(numbers)) == ORIGIN:
            written.append(time.monotonic())
        time.sleep(WRITE_EVERY_SECONDS)
    written.append(time.monotonic())
    leads.start()
    world.wait(lambda: all(_standing(it) for it in world.etcd.voters), "all voters know a leader")
    return max(later - earlier for earlier, later in pairwise(written))


def _leader(world: FailoverWorld) -> EtcdProcess:
    found = next((it for it in world.etcd.voters if (told := _standing(it)) and told.member == told.leader), None)
    if found is None:
        raise ApplianceError("no voter says that it leads.")
    return found


def _standing(voter: EtcdProcess) -> MemberStatus | None:
    """How it stands; None while it knows no leader."""

    async def ask() -> MemberStatus | None:
        admin = EtcdAdmin(voter.address)
        try:
            told = await admin.status()
            return told if told.leader else None
        except ApplianceError:
            return None
        finally:
            await admin.close()

    return asyncio.run(ask())
