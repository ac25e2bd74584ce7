"""A node hands a service over: clients wait, all is elsewhere, a release is signed and shown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from appliance.errors import Refused
from appliance.failover.act import perform
from appliance.failover.fsm.model import Action, Decision
from appliance.failover.observe import observe
from appliance.failover.ports import Synced
from appliance.node import failover_state as keeping
from appliance.node.failover_state import load
from appliance.trust.release import read_release
from appliance_lab.doubles.memory_store import Line
from tests.unit.failover.world import LAST, SERVICE, World
from tests.worlds.documents import FIRST, HOME, STANDBY

A = Action


def test_letting_go_is_noted_and_signed_before_the_lease_is_given_back(world: World) -> None:
    world.ctx.keep(unreplicated_writes=False)
    world.hold()
    world.store.line = Line.CUT
    assert not world.do(A.RELEASE)
    assert world.ctx.proven is None
    assert world.ctx.durable.released_epoch == FIRST.epoch
    paper = read_release((world.folder / "release").read_bytes(), FIRST.writer_key)
    assert (paper.epoch, paper.holder) == (FIRST.epoch, HOME)
    assert observe(world.ctx).released


def test_brokers_hear_of_a_release_before_the_lease_is_free_and_one_that_is_silent_keeps_nobody(world: World) -> None:
    heard = list[tuple[bool, tuple[str, ...]]]()

    class Broker:
        async def ask(self, method: str, seconds_max: float, **told: Any) -> None:
            held = (await world.store.read(SERVICE)).holder is not None
            heard.append((held, told["papers"]))
            await asyncio.Event().wait()

    world.node.brokers["hermitage"] = Broker()  # type: ignore[index]
    world.ctx.keep(unreplicated_writes=False)
    world.hold()
    assert world.do(A.RELEASE)
    assert heard == [(True, ((world.folder / "release").read_text(),))]
    assert asyncio.run(world.store.read(SERVICE)).holder is None


def test_nobody_signs_that_all_is_elsewhere_while_something_is_only_here(world: World) -> None:
    world.ctx.keep(unreplicated_writes=True)
    world.hold()
    assert world.do(A.RELEASE)
    assert not (world.folder / "release").exists()


def test_a_sync_counts_only_when_clients_wait_and_a_peer_has_it(world: World) -> None:
    world.hold()
    world.do(A.START)
    world.do(A.SYNC)
    assert not world.ctx.synced, "clients wrote meanwhile"
    world.copies.has = ()
    world.do(A.HOLD_WRITES, A.SYNC)
    assert not world.ctx.synced, "nobody has it"
    world.copies.has = ("commune-b",)
    world.do(A.SYNC)
    assert not world.ctx.synced, "who takes over has not got it, and commune-b may fall silent"
    assert world.ctx.durable.unreplicated_writes
    assert world.ctx.trouble["sync"] == "hermitage gave no receipt for the last backup of docs-a; commune-b has it."
    world.copies.has = (STANDBY,)
    world.do(A.SYNC)
    assert world.ctx.synced
    assert not world.ctx.durable.unreplicated_writes


def test_a_release_names_the_generation_of_the_last_sync(world: World) -> None:
    world.hold()
    assert world.do(A.START, A.HOLD_WRITES, A.SYNC, A.CUT_NETWORK, A.STOP, A.SET_READ_ONLY, A.RELEASE)
    assert read_release((world.folder / "release").read_bytes(), FIRST.writer_key).generation == LAST
    assert world.ctx.durable.given == LAST


def test_an_epoch_that_was_never_opened_is_given_up_with_the_generation_it_was_to_go_on_from(world: World) -> None:
    world.ctx.keep(unreplicated_writes=False, opened_epoch=0, required=LAST)
    world.hold()
    assert world.do(A.RELEASE)
    assert read_release((world.folder / "release").read_bytes(), FIRST.writer_key).generation == LAST
    assert world.ctx.durable.given == "", "nothing of it was written here"


def test_what_was_given_up_is_kept_as_a_branch_when_the_next_writer_went_on_from_an_older_one(world: World) -> None:
    world.ctx.keep(unreplicated_writes=False, given=LAST)
    assert not observe(world.ctx).unreplicated_writes, "nothing is known yet"
    world.copies.passed_over = True
    assert observe(world.ctx).unreplicated_writes
    assert world.do(A.KEEP_BRANCH)
    assert not observe(world.ctx).unreplicated_writes
    world.ctx.keep(given=LAST)
    world.copies.passed_over = False
    assert world.do(A.READ)
    assert world.ctx.durable.given == ""


def test_an_epoch_that_was_never_opened_gives_up_nothing_that_is_a_branch_already(world: World) -> None:
    """Each hand-back that failed kept the same branch once more."""
    world.ctx.keep(unreplicated_writes=False, opened_epoch=0, synced=LAST, given="")
    world.copies.passed_over = True
    world.hold()
    assert world.do(A.RELEASE)
    assert not observe(world.ctx).unreplicated_writes


def test_what_is_a_branch_already_is_not_given_up_once_more_with_a_lease_that_got_no_grant(world: World) -> None:
    """Found by a drawn history: its claim got no grant, and the node went on to keep its branch for ever."""
    world.ctx.keep(unreplicated_writes=False, synced=LAST, given=LAST)
    world.copies.passed_over = True
    assert world.do(A.KEEP_BRANCH)
    world.hold()
    assert world.do(A.RELEASE)
    assert not observe(world.ctx).unreplicated_writes


def test_a_sync_during_which_clients_were_let_in_behind_this_programs_back_does_not_count(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a restart of nftables, which flushes the filter that kept them out."""

    async def let_in(service: str) -> None:
        raise Refused("get element failed: No such file or directory")

    world.hold()
    assert world.do(A.START, A.HOLD_WRITES)
    with monkeypatch.context() as flushed:
        flushed.setattr(world.machine, "check_held", let_in)
        assert not world.do(A.SYNC)
    assert (world.ctx.synced, world.ctx.durable.unreplicated_writes) == (False, True)
    assert world.do(A.HOLD_WRITES, A.SYNC)
    assert world.ctx.synced


def test_a_sync_that_outlived_the_wait_it_was_made_in_does_not_count_in_the_next_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow one goes on while clients are let in again and write; then they wait for the second try."""
    bring = world.copies.sync

    async def slow(service: str, to: str) -> Synced:
        for action in (A.RESUME_WRITES, A.HOLD_WRITES):
            world.clock.advance(1)
            decision = Decision("a.row", "test", (action,), world.ctx.standing, deadline=0.0)
            assert await perform(world.ctx, decision)
        return await bring(service)

    world.hold()
    assert world.do(A.START, A.HOLD_WRITES)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(world.copies, "sync", slow)
        assert world.do(A.SYNC)
    assert not world.ctx.synced
    assert world.ctx.durable.unreplicated_writes, "what they wrote is only here"
    assert world.do(A.SYNC)
    assert (world.ctx.synced, world.ctx.durable.unreplicated_writes) == (True, False)


def test_what_clients_write_after_a_hand_over_that_failed_counts_as_unsaved_before_they_may(world: World) -> None:
    world.hold()
    assert world.do(A.START, A.HOLD_WRITES, A.SYNC)
    assert not world.ctx.durable.unreplicated_writes
    assert world.do(A.RESUME_WRITES)
    durable = load(world.folder / "failover.json")
    assert durable is not None
    assert durable.unreplicated_writes


def test_on_a_full_disk_clients_are_let_go_on_after_a_hand_over_that_failed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: object) -> None:
        raise OSError("No space left on device")

    world.hold()
    assert world.do(A.START, A.HOLD_WRITES, A.SYNC)
    assert world.node.services.look(SERVICE).held
    with monkeypatch.context() as full:
        full.setattr(keeping, "save", no_space)
        assert world.do(A.RESUME_WRITES)
    assert not world.node.services.look(SERVICE).held
    assert world.ctx.durable.unreplicated_writes
    assert "No space" in world.ctx.trouble["note that clients write"]
