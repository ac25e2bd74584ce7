"""A signed promotion at the node that obeys it: once, from which generation, and that it is used up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.coordination.keys import new_lease
from appliance.coordination.port import Claim
from appliance.errors import Refused
from appliance.failover import act
from appliance.failover.context import begin
from appliance.failover.fsm.model import Action
from appliance.failover.observe import observe
from appliance.node.failover_state import load
from appliance.trust.act import Act
from appliance.units import HOUR
from tests.unit.failover.world import SERVICE, World
from tests.worlds.documents import HOME, STANDBY, by_key
from tests.worlds.documents import act as promotion

A = Action
CLEAN = "00002.0000000007.0123456789abcdef"


def test_an_act_is_used_up_only_once_its_grant_is_on_the_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, raw: bytes) -> None:
        raise OSError("No space left on device")

    promotes = promotion("promote", HOME, start=0, end=world.clock.now() + HOUR)
    world.ctx.node = replace(world.node, own_acts=lambda: (promotes,))
    world.node.documents.take([by_key(STANDBY, 2).document.raw])
    raw = by_key(HOME, 4).document.raw
    with monkeypatch.context() as cut:
        cut.setattr(act, "write_atomic", full)
        with pytest.raises(OSError, match="No space"):
            act._take_grant(world.ctx, raw, STANDBY)
    assert world.ctx.durable.served_acts == ()
    assert world.ctx.durable.adopts, "what another wrote is taken over, whenever the grant comes"
    act._take_grant(world.ctx, raw, STANDBY)
    assert world.ctx.durable.served_acts == (promotes.document.digest,)
    assert (world.folder / "granted").read_bytes() == raw


def test_the_generation_that_an_act_names_is_adopted_once_and_forgotten_then(world: World) -> None:
    promotes = replace(promotion("promote", HOME, start=0, end=world.clock.now() + HOUR), generation=CLEAN)
    world.ctx.node = replace(world.node, own_acts=lambda: (promotes,))
    world.hold()
    world.node.documents.take([by_key(STANDBY, 2).document.raw])
    act._take_grant(world.ctx, by_key(HOME, 4).document.raw, STANDBY)
    durable = load(world.folder / "failover.json")
    assert durable is not None
    assert (durable.adopts, durable.generation) == (True, CLEAN), "a restart goes on with it"
    assert world.do(A.START)
    assert (world.copies.adopted, world.copies.generations) == ([False], [CLEAN])
    assert world.ctx.durable.generation == ""


def test_a_node_that_gave_its_epoch_up_unopened_goes_on_from_the_same_generation_under_the_next(world: World) -> None:
    def fail() -> None:
        raise Refused("the holder of it does not answer.")

    promotes = replace(promotion("promote", HOME, start=0, end=world.clock.now() + HOUR), generation=CLEAN)
    world.ctx.node = replace(world.node, own_acts=lambda: (promotes,))
    world.hold()
    world.node.documents.take([by_key(STANDBY, 2).document.raw])
    act._take_grant(world.ctx, by_key(HOME, 4).document.raw, STANDBY)
    world.copies.while_laying = fail
    assert not world.do(A.START)
    world.do(A.RELEASE)
    act._take_grant(world.ctx, by_key(HOME, 6).document.raw, HOME)
    assert (world.ctx.durable.adopts, world.ctx.durable.generation) == (True, CLEAN)
    act._take_grant(world.ctx, by_key(HOME, 10).document.raw, STANDBY)
    assert world.ctx.durable.generation == "", "another wrote since"


def test_of_two_promotions_the_one_signed_last_decides_and_neither_ousts_anybody_later(world: World) -> None:
    now, acts = world.clock.now(), list[Act]()
    world.ctx.node = replace(world.node, own_acts=lambda: tuple(acts))
    for first, last in (("", CLEAN), (CLEAN, "")):
        acts[:] = [
            replace(promotion("promote", HOME, start=start, end=now + HOUR), generation=generation)
            for start, generation in ((now - 20, first), (now - 10, last))
        ]
        world.ctx.keep(served_acts=(), generation="")
        world.node.documents.grants[SERVICE] = by_key(STANDBY, 2)
        assert observe(world.ctx).requests.promote
        act._take_grant(world.ctx, by_key(HOME, 4).document.raw, STANDBY)
        assert world.ctx.durable.generation == last
        world.node.documents.take([by_key(STANDBY, 6).document.raw])
        assert not observe(world.ctx).requests.promote, "its service went home in the night"


def test_an_act_whose_grant_came_right_before_the_power_failed_promotes_nobody_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*fields: object) -> None:
        raise OSError("the power fails")

    promotes = replace(promotion("promote", HOME, start=0, end=world.clock.now() + HOUR), generation=CLEAN)
    world.ctx.node = replace(world.node, own_acts=lambda: (promotes,))
    world.hold()
    world.node.documents.take([by_key(STANDBY, 2).document.raw])
    with monkeypatch.context() as now:
        now.setattr(act, "_use_up", cut)
        with pytest.raises(OSError, match="power"):
            act._take_grant(world.ctx, by_key(HOME, 4).document.raw, STANDBY)
    world.node.documents.take([by_key(HOME, 4).document.raw])
    assert world.do(A.START)
    assert world.copies.generations == [CLEAN]
    world.node.documents.take([by_key(STANDBY, 6).document.raw])
    assert not observe(world.ctx).requests.promote


def test_a_corrected_promotion_counts_until_the_service_is_opened_even_while_files_are_laid_in_place(
    world: World,
) -> None:
    now = world.clock.now()
    acts = [replace(promotion("promote", HOME, start=now - 20, end=now + HOUR), generation=CLEAN)]
    before, older = CLEAN.replace("07.", "06."), CLEAN.replace("07.", "05.")

    def correct() -> None:
        world.copies.while_laying = lambda: None
        acts.append(replace(promotion("promote", HOME, start=now - 10, end=now + HOUR), generation=before))
        acts.append(replace(promotion("promote", HOME, start=now - 30, end=now + HOUR), generation=older))

    world.ctx.node = replace(world.node, own_acts=lambda: tuple(acts))
    world.hold()
    world.node.documents.take([by_key(STANDBY, 2).document.raw])
    act._take_grant(world.ctx, by_key(HOME, 4).document.raw, STANDBY)
    world.copies.while_laying = correct
    assert world.do(A.START)
    assert world.copies.generations == [CLEAN, before], "and not what was signed before that"
    assert len(world.ctx.durable.served_acts) == 3


@pytest.mark.parametrize(("begun_for", "waits"), [(60, 60.0), (15, 15.0), (5, 15.0), (0, 60.0)])
def test_who_is_deposed_is_waited_for_as_long_as_its_lease_was_begun_though_a_bundle_made_leases_shorter(
    world: World, begun_for: int, waits: float
) -> None:
    """It counts by the lease that it has, which may be months old; 0 is a former version, which did not say."""
    claim = Claim(SERVICE, STANDBY, "boot", new_lease(STANDBY, 1), 0, begun_for or 15, "first", "")
    world.voters.acquire(claim)
    if not begun_for:
        record = world.voters.read(SERVICE)
        assert record.holder is not None
        world.voters._change(replace(record, holder=replace(record.holder, boot_id="boot")))
    promotes = promotion("promote", HOME, start=0, end=world.clock.now() + HOUR)
    world.ctx.node = replace(world.node, own_acts=lambda: (promotes,))
    world.node.documents.take([by_key(STANDBY, 2).document.raw])
    assert world.do(A.READ, A.TAKE_OVER)
    assert world.ctx.proven is not None
    assert world.ctx.proven.old_writer_stops_at == world.clock.boottime() + waits


@pytest.mark.parametrize(("begun_for", "waits"), [(60, 60.0), (5, 15.0)])
def test_a_reboot_before_the_service_was_opened_waits_for_the_lease_that_the_takeover_deposed(
    world: World, begun_for: int, waits: float
) -> None:
    """The lease of a longer bundle that the deposed node still goes by is not in the store any more."""
    world.voters.acquire(Claim(SERVICE, STANDBY, "boot", new_lease(STANDBY, 1), 0, begun_for, "first", ""))
    promotes = promotion("promote", HOME, start=0, end=world.clock.now() + HOUR)
    world.ctx.node = replace(world.node, own_acts=lambda: (promotes,))
    world.node.documents.take([by_key(STANDBY, 2).document.raw])
    assert world.do(A.READ, A.TAKE_OVER)
    act._take_grant(world.ctx, by_key(HOME, 4).document.raw, STANDBY)
    world.ctx.prove(None)
    world.ctx = begin(replace(world.ctx.node, boot_id="the next one"), SERVICE)
    world.voters.advance(16)  # the lease of the boot before has ended
    assert world.do(A.READ, A.RETURN)
    assert world.ctx.proven is not None
    assert world.ctx.proven.old_writer_stops_at == world.clock.boottime() + waits
    assert world.do(A.START)
    assert world.ctx.durable.deposed_seconds == 0


def test_whom_a_claim_deposed_that_got_no_answer_is_waited_for_by_the_next_takeover(world: World) -> None:
    world.voters.acquire(Claim(SERVICE, STANDBY, "boot", new_lease(STANDBY, 1), 0, 60, "first", ""))
    promotes = promotion("promote", HOME, start=0, end=world.clock.now() + HOUR)
    world.ctx.node = replace(world.node, own_acts=lambda: (promotes,))
    world.node.documents.take([by_key(STANDBY, 2).document.raw])
    assert world.do(A.READ, A.TAKE_OVER)
    world.ctx.prove(None)
    world.voters.advance(16)  # the lease of the claim has ended, and nobody holds the service
    assert world.do(A.READ, A.TAKE_OVER)
    assert world.ctx.proven is not None
    assert world.ctx.proven.old_writer_stops_at == world.clock.boottime() + 60
