"""One contract for every version of the coordination port: in memory, through a broker, and etcd itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import cast

import pytest

from appliance.coordination.port import Ended, Event, Lease, Lost, ServiceRecord, Taken
from appliance.errors import Refused
from tests.integration.coordination.worlds import (
    TIME,
    TTL,
    World,
    alive,
    claim,
    held,
    intent,
    new_service,
    next_state,
)

pytestmark = pytest.mark.usefixtures("runner")


async def test_what_nobody_owns_is_held_by_who_claims_it(world: World) -> None:
    service = new_service()
    before = await world.at("commune-a").read(service)
    assert (before.owner, before.holder, before.intent, before.owned) == (None, None, None, 0)
    lease = await world.at("commune-a").acquire(asked := claim(service))
    record = await world.at("commune-b").read(service)
    assert record.owner is not None
    assert record.holder is not None
    assert (record.owner.node, record.owner.released, record.owner.time) == ("commune-a", False, TIME)
    assert (record.holder.node, record.holder.boot_id, record.holder.lease) == (
        "commune-a",
        asked.begun_by,
        asked.lease,
    )
    assert (record.holder.boot_id.split()[0], record.holder.ttl_seconds) == ("boot-1", asked.ttl_seconds)
    assert (lease.revision, lease.since) == (record.owned, record.holder.revision)
    assert lease.revision > before.revision


async def test_what_is_held_is_not_taken_and_the_refusal_names_the_holder(world: World) -> None:
    service = new_service()
    lease = await held(world, service)
    with pytest.raises(Taken, match=r"is held by commune-a\. Nothing was changed") as refusal:
        await world.at("commune-b").acquire(claim(service, "commune-b", seen=lease.revision))
    assert refusal.value.record.owned == lease.revision
    await world.at("commune-a").renew(lease)


async def test_a_claim_that_saw_another_owner_is_refused_though_nobody_holds(world: World) -> None:
    service = new_service()
    lease = await held(world, service)
    await world.at("commune-a").release(lease, "stopped", TIME)
    with pytest.raises(Taken, match=r"was released by commune-a since revision \d+"):
        await world.at("commune-b").acquire(claim(service, "commune-b", seen=lease.revision))


async def test_of_many_claims_at_once_one_wins(world: World) -> None:
    service = new_service()
    nodes = [f"commune-{letter}" for letter in "abcde"]
    answers = await asyncio.gather(
        *(world.at(node).acquire(claim(service, node)) for node in nodes), return_exceptions=True
    )
    (won,) = [answer for answer in answers if isinstance(answer, Lease)]
    assert all(isinstance(answer, Taken) for answer in answers if answer is not won)
    record = await world.at("commune-a").read(service)
    assert record.holder is not None
    assert record.holder.node == won.node


async def test_a_claim_that_is_made_again_is_the_same_claim(world: World) -> None:
    service = new_service()
    asked = claim(service)
    first = await world.at("commune-a").acquire(asked)
    again = await world.at("commune-a").acquire(asked)
    assert replace(again, sent=first.sent) == first
    assert len(await world.at("commune-a").history(service)) == 1


async def test_a_lease_that_was_begun_for_an_announcement_holds_no_service(world: World) -> None:
    """It would be held for an hour after its node had died."""
    service = new_service()
    announced = intent(service, node="commune-a", ttl=3600)
    await world.at("commune-a").report(announced)
    with pytest.raises(Refused, match="was created for 3600 s"):
        await world.at("commune-a").acquire(replace(claim(service), lease=announced.lease))
    assert (await world.at("commune-a").read(service)).holder is None


async def test_a_renewal_is_dated_before_it_was_sent(world: World) -> None:
    service = new_service()
    lease = await world.at("commune-a").acquire(claim(service))
    before = world.clock.boottime()
    renewed = await world.at("commune-a").renew(lease)
    assert before <= renewed.sent <= world.clock.boottime()
    assert renewed == replace(lease, sent=renewed.sent)
    assert renewed.ends == renewed.sent + TTL


async def test_who_is_silent_for_its_lease_has_lost_it_and_another_may_hold(world: World) -> None:
    service = new_service()
    old = await world.at("commune-a").acquire(claim(service))
    seen = await world.at("commune-b").read(service)
    gone = await world.wait_gone("commune-b", service, seen)
    assert world.clock.boottime() >= old.ends
    assert gone.owned == old.revision, "the owner stays: only its lease has ended"
    with pytest.raises(Lost, match="has expired"):
        await world.at("commune-a").renew(old)
    new = await world.at("commune-b").acquire(claim(service, "commune-b", seen=gone.owned))
    assert new.revision > old.revision
    with pytest.raises(Lost):
        await world.at("commune-a").renew(old)
    await world.at("commune-b").renew(new)


async def test_an_owner_that_was_silent_shows_to_be_alive_again_under_its_old_revision(world: World) -> None:
    service = new_service()
    old = await world.at("commune-a").acquire(claim(service))
    gone = await world.wait_gone("commune-a", service, await world.at("commune-a").read(service))
    again = await world.at("commune-a").acquire(asked := claim(service, seen=gone.owned, resumes=True, ttl=60))
    assert again.revision == old.revision
    assert again.since > old.since
    repeated = await world.at("commune-a").acquire(asked)
    assert repeated == replace(again, sent=repeated.sent)
    assert len(await world.at("commune-a").history(service)) == 1
    await world.at("commune-a").renew(again)


async def test_nobody_resumes_what_another_owns_or_what_was_given_up(world: World) -> None:
    service = new_service()
    lease = await held(world, service)
    await world.at("commune-a").release(lease, "stopped", TIME)
    record = await world.at("commune-a").read(service)
    for node in ("commune-a", "commune-b"):
        with pytest.raises(Taken):
            await world.at(node).acquire(claim(service, node, seen=record.owned, resumes=True))
    new = await world.at("commune-b").acquire(claim(service, "commune-b", seen=record.owned))
    with pytest.raises(Taken):
        await world.at("commune-a").acquire(claim(service, seen=new.revision, resumes=True))


async def test_a_holder_is_ousted_only_by_who_names_it(world: World) -> None:
    service = new_service()
    old = await held(world, service)
    wrong = claim(service, "commune-b", seen=old.revision, ousts=old.since + 1)
    with pytest.raises(Taken):
        await world.at("commune-b").acquire(wrong)
    new = await world.at("commune-b").acquire(replace(wrong, ousts=old.since))
    assert new.revision == new.since > old.revision
    with pytest.raises(Lost, match="is held by commune-b now"):
        await world.at("commune-a").renew(old)  # its lease lives: only the proof shows it
    with pytest.raises(Lost):
        await world.at("commune-a").release(old, "too late", TIME)
    await world.at("commune-b").renew(new)


async def test_what_is_released_is_free_at_once(world: World) -> None:
    service = new_service()
    lease = await held(world, service)
    await world.at("commune-a").release(lease, "power is going", TIME)
    await world.at("commune-a").release(lease, "power is going", TIME)
    record = await world.at("commune-b").read(service)
    assert record.holder is None
    assert record.owner is not None
    assert (record.owner.released, record.owner.reason) == (True, "power is going")
    with pytest.raises(Lost):
        await world.at("commune-a").renew(lease)
    await world.at("commune-b").acquire(claim(service, "commune-b", seen=record.owned))
    with pytest.raises(Lost):
        await world.at("commune-a").release(lease, "power is going", TIME)


async def test_history_tells_who_took_and_gave_up_the_newest_first(world: World) -> None:
    service = new_service()
    first = await held(world, service)
    await world.at("commune-a").release(first, "flood", TIME)
    released = (await world.at("commune-a").read(service)).owned
    second = await world.at("commune-b").acquire(claim(service, "commune-b", seen=released))
    entries = await world.at("commune-c").history(service)
    told = [(entry.node, entry.released, entry.revision, entry.previous) for entry in entries]
    assert told == [
        ("commune-b", False, second.revision, released),
        ("commune-a", True, released, first.revision),
        ("commune-a", False, first.revision, 0),
    ]
    assert await world.at("commune-c").history(service, entries_max=1) == entries[:1]


async def test_a_watch_shows_each_change_whole_and_in_order(world: World) -> None:
    service = new_service()
    node = world.at("commune-b")
    seen = await node.read(service)
    events = node.watch(seen)
    assert await next_state(events) == seen
    await world.at("commune-c").acquire(claim(new_service(), "commune-c"))
    lease = await held(world, service)
    taken = await next_state(events)
    assert taken.owner is not None
    assert taken.holder is not None
    assert taken.owned == taken.holder.revision == taken.revision == lease.revision
    await world.at("hermitage").report(meant := intent(service, ttl=60))
    intended = await next_state(events)
    assert (intended.intent, intended.holder) == (meant, taken.holder)
    await world.at("hermitage").withdraw(meant)
    assert (await next_state(events)).intent is None
    await world.at("commune-a").release(lease, "moved", TIME)
    assert (await next_state(events)).holder is None
    await events.aclose()


async def test_a_watch_misses_nothing_that_happened_before_it_was_armed(world: World) -> None:
    service = new_service()
    seen = await world.at("commune-b").read(service)
    lease = await held(world, service)
    await world.at("commune-a").release(lease, "moved", TIME)
    events = world.at("commune-b").watch(seen)
    states = [await next_state(events) for _ in range(3)]
    assert [bool(record.holder) for record in states] == [False, True, False]
    await events.aclose()


async def test_a_watch_from_before_what_the_store_remembers_ends_and_says_so_and_who_reads_can_watch_on(
    world: World,
) -> None:
    service = new_service()
    node = world.at("commune-b")
    seen = await node.read(service)
    lease = await held(world, service)
    await world.at("commune-a").release(lease, "moved", TIME)
    await world.compact()
    events = [event async for event in node.watch(seen)]
    assert events[-1] == Ended("the store no longer has the changes after the last seen revision.")
    later = node.watch(record := await node.read(service))
    assert await next_state(later) == record
    await held(world, new_service())
    await world.at("hermitage").report(meant := intent(service, ttl=60))
    assert (await next_state(later)).intent == meant
    await later.aclose()


async def test_a_watch_on_which_nothing_happens_ends_by_itself(world: World) -> None:
    service = new_service()
    seen = await world.at("commune-b").read(service)
    events = world.at("commune-b").watch(seen, seconds_max=0.3)
    assert await next_state(events) == seen
    passing = asyncio.create_task(world.pass_time(1))
    assert [type(event) async for event in events] == [Ended]
    await passing


async def test_a_watch_that_is_dropped_leaves_the_others(world: World) -> None:
    service = new_service()
    node = world.at("commune-b")
    seen = await node.read(service)
    dropped, kept = node.watch(seen), node.watch(seen)
    assert await next_state(dropped) == await next_state(kept) == seen
    waiting = asyncio.ensure_future(anext(cast("AsyncGenerator[Event]", dropped)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await held(world, service)
    assert (await next_state(kept)).holder is not None
    await kept.aclose()


async def test_who_reports_is_alive_until_it_is_silent(world: World) -> None:
    node = world.at("commune-a")
    here = alive("commune-a")
    for _ in range(2):
        await node.report(here)
    await world.at("hermitage").report(there := alive("hermitage", ttl=60))
    assert {here, there} <= set(await node.alive())
    # A service held as long is gone when that is: something to wait for.
    service = new_service()
    await node.acquire(claim(service, ttl=TTL + 1))
    await world.wait_gone("commune-b", service, await world.at("commune-b").read(service))
    found = await node.alive()
    assert there in found
    assert here not in found
    await node.report(here)
    assert here in await node.alive()


async def test_a_node_that_started_again_is_alive_once(world: World) -> None:
    node = world.at("commune-d")
    old, new = alive("commune-d"), replace(alive("commune-d", ttl=60), boot_id="boot-2")
    await node.report(old)
    await node.report(new)
    assert [it for it in await node.alive() if it.node == "commune-d"] == [new]


async def test_two_people_at_once_do_not_both_get_their_way(world: World) -> None:
    service = new_service()
    first, second = intent(service, ttl=60), intent(service, by="secretary", node="commune-b", ttl=60)
    await world.at("hermitage").report(first)
    await world.at("hermitage").report(first)
    with pytest.raises(Taken, match=rf"maintenance already intends to move {service}") as refusal:
        await world.at("commune-b").report(second)
    assert refusal.value.record.intent == first
    for _ in range(2):
        await world.at("hermitage").withdraw(first)
    await world.at("commune-b").report(second)
    assert (await world.at("commune-a").read(service)).intent == second


async def test_who_was_cut_off_learns_nothing_within_its_time(own_world: World) -> None:
    service = new_service()
    lease = await held(own_world, service)
    await own_world.cut("commune-a")
    loop = asyncio.get_running_loop()
    started = loop.time()
    for call in (
        own_world.at("commune-a").read(service, seconds_max=0.5),
        own_world.at("commune-a").renew(lease, seconds_max=0.5),
        own_world.at("commune-a").acquire(claim(service), seconds_max=0.5),
        own_world.at("commune-a").report(alive("commune-a"), seconds_max=0.5),
    ):
        with pytest.raises(Exception, match=r"voter") as failure:
            await call
        assert failure.type.__name__ == "Unreachable"
    assert loop.time() - started < 4 * 0.5 + 1


def test_a_state_is_a_value() -> None:
    assert ServiceRecord("docs", 1) == ServiceRecord("docs", 1)
