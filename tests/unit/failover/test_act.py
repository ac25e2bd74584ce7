"""Actions at their edges: what must be on the disk first, what is refused when time is up, what is asked again."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.coordination.port import Claim, Lease
from appliance.errors import Refused
from appliance.failover import act
from appliance.failover.context import begin
from appliance.failover.fsm.model import Action, Decision, Standing, State
from appliance.failover.keeper import Keeper
from appliance.failover.observe import observe
from appliance.node.failover_state import load
from appliance.units import HOUR
from appliance_lab.doubles.memory_store import Line
from tests.unit.failover.world import LEASE, SERVICE, World
from tests.worlds.documents import FIRST, HOME, LOCAL

A = Action


def test_a_service_is_started_within_its_lease_and_its_writes_count_as_unsaved_before_it_runs(world: World) -> None:
    world.ctx.keep(unreplicated_writes=False)
    world.hold()
    assert world.do(A.START)
    assert world.machine.look(SERVICE).writer
    durable = load(world.folder / "failover.json")
    assert durable is not None
    assert durable.unreplicated_writes


def test_who_returns_goes_on_with_the_lease_that_outlived_a_lost_majority(world: World) -> None:
    """A new leader lets it start over: until its end nobody can have another, and then a standby could be faster."""
    world.hold()
    held = world.voters.read(SERVICE).holder
    world.voters.lose_majority()
    world.clock.advance(LEASE + 10)
    world.voters.regain_majority()
    assert world.do(A.RETURN)
    assert world.voters.read(SERVICE).holder == held
    assert world.ctx.proven is not None
    assert world.ctx.proven.lease.ends == world.clock.boottime() + LEASE
    world.ctx.prove(None)
    world.voters.advance(LEASE + 1)
    assert world.do(A.RETURN), "once it has ended it is a new one"
    assert world.voters.read(SERVICE).holder not in (held, None)


def test_nothing_is_started_once_the_deadline_has_passed_however_old_the_decision(world: World) -> None:
    world.hold()
    world.clock.advance(LEASE - 2.0)
    assert not world.do(A.START)
    assert not world.machine.look(SERVICE).writer
    assert world.ctx.trouble["start"] == "the lease expired before the service started."


def test_nothing_is_started_while_no_watchdog_would_stop_it(world: World) -> None:
    world.machine.watched = False
    world.hold()
    assert not world.do(A.WITHDRAW_COPY, A.ARM_WATCHDOG, A.START)
    assert not world.machine.look(SERVICE).writer


def test_a_home_alone_needs_neither_lease_nor_watchdog(tmp_path: Path) -> None:
    world = World(tmp_path, LOCAL)
    world.machine.watched = False
    assert world.do(A.START, A.ADD_ADDRESS, deadline=None)
    assert world.machine.has_address(SERVICE)


def test_the_address_comes_only_while_the_service_may_be_served(world: World) -> None:
    world.hold()
    assert not world.do(A.ADD_ADDRESS), "nothing runs"
    assert world.do(A.START)
    world.clock.advance(LEASE - 2.0)
    assert not world.do(A.ADD_ADDRESS)
    assert not world.machine.has_address(SERVICE)


def test_another_grant_is_adopted_before_anything_runs_under_it(world: World) -> None:
    world.ctx.keep(opened_epoch=0, adopts=True)
    world.hold()
    assert world.do(A.START)
    assert world.copies.adopted == [False], "the files of the node that wrote in between are put in place"
    assert world.ctx.durable.opened_epoch == FIRST.epoch


def test_as_long_as_files_are_laid_in_place_nobody_gives_up_on_it(world: World) -> None:
    world.ctx.keep(opened_epoch=0, adopts=True)
    world.hold()
    seen = []
    world.copies.while_laying = lambda: seen.append(observe(world.ctx).installed_at - world.clock.boottime())
    assert world.do(A.START)
    assert seen == [0.0]
    laid = world.clock.boottime()
    world.clock.advance(5.0)
    assert observe(world.ctx).installed_at == laid


def test_files_that_could_not_be_laid_in_place_give_no_more_time(world: World) -> None:
    def fail() -> None:
        raise Refused("the disk is full.")

    world.ctx.keep(opened_epoch=0, adopts=True)
    world.hold()
    world.copies.while_laying = fail
    assert not world.do(A.START)
    assert observe(world.ctx).installed_at == 0.0


def test_the_network_goes_first_and_what_stopped_can_be_stopped_again(world: World) -> None:
    world.hold()
    world.do(A.START, A.ADD_ADDRESS)
    for _ in range(2):
        assert world.do(A.CUT_NETWORK, A.STOP, A.SET_READ_ONLY)
    assert not world.machine.look(SERVICE).is_open
    told = (world.folder / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in told[-2:]] == ["address-del", "writer-stop"]


def test_what_fails_first_keeps_nothing_else_from_being_stopped_and_a_person_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(service: str) -> None:
        raise Refused("nft --file - failed: no message")

    told: list[str] = []
    world.ctx.node = replace(world.node, alarm=lambda service, sentence: told.append(sentence))
    world.hold()
    assert world.do(A.START, A.ADD_ADDRESS, A.SERVE_COPY)
    monkeypatch.setattr(world.machine, "cut", fail)
    assert not world.do(A.CUT_NETWORK, A.STOP, A.SET_READ_ONLY, A.RESET, A.WITHDRAW_COPY, A.ALARM)
    here = world.machine.look(SERVICE)
    assert (here.writer, here.writable, here.copy) == (False, False, False)
    assert world.machine.resets == [SERVICE]
    assert told == ["a.row: test"]
    assert world.ctx.trouble == {"cut network": "nft --file - failed: no message"}


def test_after_what_fails_nothing_is_opened(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(service: str) -> None:
        raise Refused("it does not stop.")

    world.hold()
    monkeypatch.setattr(world.machine, "withdraw_copy", fail)
    assert not world.do(A.WITHDRAW_COPY, A.START, A.ALARM)
    assert not world.machine.look(SERVICE).writer


def test_a_claim_whose_answer_was_lost_is_made_again_as_it_was(world: World) -> None:
    world.do(A.READ)
    world.store.line = Line.ANSWERS_LOST
    assert not world.do(A.TAKE_OVER)
    claim = world.ctx.claim
    assert claim is not None
    world.store.line = Line.GOOD
    world.do(A.READ)
    assert world.do(A.TAKE_OVER)
    assert world.ctx.proven is not None
    assert world.ctx.proven.lease.lease == claim.lease
    assert world.ctx.claim is None


def test_a_watch_that_tells_of_a_takeover_before_its_own_answer_comes_does_not_give_it_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, acquire = asyncio.Event(), world.store.acquire

    async def slow(claim: Claim, *, seconds_max: float) -> Lease:
        lease = await acquire(claim, seconds_max=seconds_max)
        await answered.wait()
        return lease

    async def play() -> None:
        for _ in range(2):  # a holder that was as silent as the voters would have had its time since
            await act.perform(world.ctx, Decision("a.row", "test", (A.READ,), Standing(State.GRACE, 0.0)))
            world.ctx.standing = Standing(State.GRACE, world.clock.boottime())
            world.clock.advance(2.5)
        keeper = Keeper(world.ctx)
        keeper.look()
        await asyncio.sleep(0)
        act.apply_record(world.ctx, world.voters.read(SERVICE), world.clock.boottime())
        seen = observe(world.ctx)
        assert (seen.record.holder if seen.record else "", seen.proof) == (HOME, None)
        world.clock.advance(1.2)
        keeper.look()
        await asyncio.sleep(0)
        answered.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        keeper.look()

    monkeypatch.setattr(world.store, "acquire", slow)
    asyncio.run(play())
    assert world.ctx.standing.state is State.PROMOTING
    holder = world.voters.read(SERVICE).holder
    assert holder is not None
    assert holder.node == HOME


def test_an_agent_of_the_same_boot_goes_on_with_the_proof_and_one_of_another_boot_does_not(world: World) -> None:
    world.hold()
    assert begin(world.node, SERVICE).proven == world.ctx.proven
    world.clock.reboot()
    assert begin(replace(world.node, boot_id=world.clock.boot_id()), SERVICE).proven is None


def test_a_lease_that_another_took_is_lost_at_once(world: World) -> None:
    world.hold()
    world.voters.advance(LEASE + 1)
    assert not world.do(A.RENEW)
    assert world.ctx.proven is None
    assert observe(world.ctx).lost
    assert not world.ctx.has_not_released, "it could have ended"


def test_a_home_says_for_how_long_it_could_have_its_service_back_and_only_while_it_could(world: World) -> None:
    keeper, now = Keeper(world.ctx), world.clock.boottime()
    assert keeper.ready_seconds is None, "it has just started"
    world.ctx.standing = Standing(State.STANDBY, now - 400)
    assert keeper.ready_seconds == 400
    world.ctx.standing = Standing(State.STANDBY, now - 400, failures=1, failed_at=now - 100)
    assert keeper.ready_seconds == 40, "from when it no longer cools down"
    world.ctx.standing = Standing(State.STANDBY, now - 400, failures=1, failed_at=now - 59)
    assert keeper.ready_seconds is None
    world.ctx.standing = Standing(State.CATCHUP, now - 400)
    assert keeper.ready_seconds is None


def test_what_a_broker_tells_of_a_ready_home_counts_for_a_moment_and_at_night(world: World) -> None:
    now = world.clock.boottime()
    assert observe(world.ctx).origin_ready_since is None
    world.ctx.origin_ready = now - 400, now
    seen = observe(world.ctx)
    assert (seen.origin_ready_since, seen.requests.hand_back) == (now - 400, False), "it is nine in the morning"
    world.clock.jump_wall(-7 * HOUR)
    assert observe(world.ctx).requests.hand_back
    world.clock.advance(11)
    assert observe(world.ctx).origin_ready_since is None
