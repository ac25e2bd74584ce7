"""The calls of a simulator to the store in memory, without an event loop."""

from __future__ import annotations

import asyncio

import pytest

from appliance.clock import SimulatedClock
from appliance.coordination.keys import new_lease
from appliance.coordination.port import Alive, Claim, Ended, Lease, Lost, Taken
from appliance.errors import Unreachable
from appliance_lab.doubles.memory_store import Line, Memory, Store, at_once

TTL = 15


def claim(node: str, seen: int = 0, number: int = 1) -> Claim:
    return Claim("docs-a", node, "boot-1", new_lease(node, number), seen, TTL, "", "2026-11-26T08:00:00Z")


@pytest.fixture
def store() -> Store:
    return Store(SimulatedClock())


def test_a_lease_lives_exactly_as_long_as_it_was_granted(store: Store) -> None:
    home, standby = Memory(store), Memory(store)
    lease = at_once(home.acquire(claim("commune-a")))
    store.advance(TTL - 0.01)
    with pytest.raises(Taken):
        at_once(standby.acquire(claim("commune-b", seen=lease.revision)))
    store.advance(0.01)
    taken = at_once(standby.acquire(claim("commune-b", seen=lease.revision)))
    assert taken.sent == lease.ends
    with pytest.raises(Lost):
        at_once(home.renew(lease))


def test_who_is_cut_off_has_asked_nothing(store: Store) -> None:
    home = Memory(store)
    home.line = Line.CUT
    with pytest.raises(Unreachable):
        at_once(home.acquire(claim("commune-a")))
    home.line = Line.GOOD
    assert at_once(home.read("docs-a")).owner is None


def test_whose_answers_are_lost_has_asked_all_the_same(store: Store) -> None:
    home = Memory(store)
    asked = claim("commune-a")
    home.line = Line.ANSWERS_LOST
    with pytest.raises(Unreachable):
        at_once(home.acquire(asked))
    assert at_once(Memory(store).read("docs-a")).holder is not None
    home.line = Line.GOOD
    assert isinstance(at_once(home.acquire(asked)), Lease)


def test_leases_that_end_meanwhile_end_in_their_order(store: Store) -> None:
    node = Memory(store)
    seen = at_once(node.read("docs-a"))
    at_once(node.acquire(claim("commune-a")))
    at_once(node.report(Alive("commune-a", "boot-1", 1, 5)))
    store.advance(100)
    assert [bool(record.holder) for record in store.since(seen)] == [True, False]
    assert at_once(node.alive()) == ()


def test_a_watch_that_is_cut_is_silent_until_it_ends(store: Store) -> None:
    async def watched() -> list[object]:
        standby = Memory(store)
        events = standby.watch(await standby.read("docs-a"), seconds_max=20)
        await anext(events)
        standby.line = Line.CUT
        await Memory(store).acquire(claim("commune-a"))
        later = asyncio.create_task(_all(events))
        for _ in range(3):
            await asyncio.sleep(0)
            store.advance(10)
        return await later

    assert asyncio.run(watched()) == [Ended("watched for 20 s.")]


def test_only_a_watch_waits(store: Store) -> None:
    async def wait() -> None:
        await store.changed()

    async def ask() -> None:
        with pytest.raises(AssertionError, match="waits for something"):
            at_once(wait())

    asyncio.run(ask())


async def _all(events: object) -> list[object]:
    return [event async for event in events]  # type: ignore[attr-defined]
