"""A node that holds a service no more: it brings the present holders what they lack, and gives its own copy up last."""

from __future__ import annotations

import json

import pytest

from appliance.agent.decide import Intervals, decide
from appliance.agent.decisions import Thin
from appliance.agent.memory import Memory
from appliance.agent.observe import Observer, now_of
from appliance.backup.peers import conversation
from appliance.backup.peers.alarms import alarm_of
from appliance.backup.peers.exchange import catch_up, exchange
from appliance.backup.peers.replicate import replicate
from appliance.backup.vault.maintenance.relief import load_shown
from appliance.errors import Forbidden
from appliance.node.acts import keep_act, load_acts
from appliance.units import DAY
from tests.integration.desk.desk import HOLDER, ORIGIN, SERVICE, SPARE, STANDBY, Desk, Generation, ask, assert_whole
from tests.integration.desk.history import held_here, thin_here
from tests.integration.desk.in_process import World

LOCK = 30 * DAY
EDGES = 6
"""How many of the history any holder keeps after its lock: the first and the last of each of three days."""


@pytest.fixture
def world(desk: Desk, history: list[Generation], monkeypatch: pytest.MonkeyPatch) -> World:
    """commune-b has the history of three days, and the copy went to commune-c; commune-b is not even a spare."""
    made = World(desk)
    monkeypatch.setattr(conversation, "Line", made.line)
    desk.sign(placed=(STANDBY, SPARE), spares=(), former_holders=(HOLDER,))
    return made


def bring(world: World) -> None:
    """The hour of commune-b: it asks the present holders, and brings them what they lack."""
    node = world.desk.open(HOLDER)
    done = catch_up(node, SERVICE, exchange(node, SERVICE))
    assert not [it for it in done.values() if isinstance(it, Exception)], done


def test_a_former_holder_gives_up_its_last_copy_a_lock_after_all_others_had_everything(
    world: World, history: list[Generation]
) -> None:
    desk = world.desk
    bring(world)
    assert assert_whole(desk, STANDBY) == assert_whole(desk, SPARE) == [made.name for made in history]
    bring(world)
    desk.advance(LOCK - DAY)
    bring(world)
    thin_here(desk)
    assert {history[0].name, history[-1].name} < set(held_here(desk)), "they have not shown it for a whole lock"
    desk.advance(DAY)
    thin_here(desk)
    assert held_here(desk) == []
    for _ in range(2):
        desk.advance(2 * DAY)
        thin_here(desk)
    assert list(desk.holding(HOLDER).blobs()) == []


def test_status_of_a_former_holder_says_since_when_it_is_held_elsewhere_and_when_the_copy_goes(world: World) -> None:
    node = world.desk.open(HOLDER)
    (held,) = (it for it in Observer().look(node, now_of(node), Memory()).held if it.service == SERVICE)
    assert held.elsewhere == (
        f"is held elsewhere since bundle {node.bundle.serial}; "
        "the copy here is deleted once the others have proved for one retention lock that they have it"
    )
    assert (held.left, held.expected) == ("", False), "it goes on being asked by the present holders"


@pytest.mark.parametrize("lacking", [STANDBY, SPARE])
def test_a_former_holder_keeps_its_newest_while_one_present_holder_shows_nothing(
    world: World, history: list[Generation], lacking: str
) -> None:
    world.down = frozenset({lacking})
    node = world.desk.open(HOLDER)
    catch_up(node, SERVICE, exchange(node, SERVICE))
    exchange(node, SERVICE)
    for _ in range(12):
        world.desk.advance(365 * DAY)
        exchange(node, SERVICE)
        thin_here(world.desk)
    assert held_here(world.desk)[-1] == history[-1].name


def test_a_former_holder_keeps_what_only_it_has_though_the_others_hold_newer_ones(
    world: World, history: list[Generation]
) -> None:
    desk = world.desk
    for at in (STANDBY, SPARE):
        desk.put(history[-1], desk.grant(), at=at, before=history[:-1])
    exchange(desk.open(HOLDER), SERVICE)  # and nothing is brought: the others have no room
    desk.advance(LOCK + DAY)
    exchange(desk.open(HOLDER), SERVICE)
    thin_here(desk)
    kept = held_here(desk)
    assert history[-1].name not in kept
    assert kept[0] == history[0].name


def test_a_former_holder_gives_up_nothing_to_a_receipt_that_is_not_the_holders_own(world: World) -> None:
    desk = world.desk
    bring(world)
    bring(world)
    file = desk.open(HOLDER).layout.sight / f"{SERVICE}.shown"
    shown = json.loads(file.read_bytes())
    shown[SPARE] = shown[STANDBY]  # one voice twice
    file.write_text(json.dumps(shown))
    desk.advance(LOCK + DAY)
    thin_here(desk)
    assert held_here(desk) != []


def test_a_holder_that_shows_less_than_before_has_to_show_it_for_a_lock_again(
    world: World, history: list[Generation]
) -> None:
    desk = world.desk
    bring(world)
    bring(world)
    desk.advance(LOCK - DAY)
    holding = desk.holding(SPARE)
    for made in history:
        (holding.generations / made.name / "list").unlink()
        (holding.generations / made.name / "receipt").unlink()
    exchange(desk.open(HOLDER), SERVICE)
    assert SPARE not in load_shown(desk.open(HOLDER), SERVICE)
    bring(world)
    desk.advance(DAY)
    thin_here(desk)
    assert len(held_here(desk)) == EDGES


@pytest.mark.parametrize("act", ["hold", "freeze"])
def test_a_former_holder_gives_up_nothing_while_an_act_forbids_it(world: World, act: str) -> None:
    desk = world.desk
    bring(world)
    bring(world)
    desk.advance(LOCK + DAY)
    node = desk.open(HOLDER)
    keep_act(node.layout.acts, desk.act(act, SERVICE), node.bundle)
    thin_here(desk)
    assert held_here(desk) != []


def test_a_former_holder_gives_up_nothing_while_one_of_the_service_is_lost(world: World) -> None:
    desk = world.desk
    bring(world)
    bring(world)
    desk.advance(LOCK + DAY)
    node = desk.open(HOLDER)
    keep_act(node.layout.acts, desk.act("lost", ORIGIN), node.bundle)
    thin_here(desk)
    assert held_here(desk) != []


def test_a_holder_by_the_plan_gives_up_nothing_however_much_the_others_have(
    world: World, history: list[Generation]
) -> None:
    desk = world.desk
    bring(world)
    bring(world)
    desk.advance(LOCK + DAY)
    desk.sign(placed=(STANDBY, HOLDER, SPARE), former_holders=())
    thin_here(desk)
    assert held_here(desk)[-1] == history[-1].name


def test_a_former_holder_may_show_and_bring_but_reads_nothing(world: World) -> None:
    for verb in ("get", "put", "prove"):
        with world.desk.session(STANDBY, HOLDER) as channel:
            ask(channel, verb)
            with pytest.raises(Forbidden):
                channel.read_frame()


# Where the former holder is a spare, which the others ask.


@pytest.fixture
def spare(world: World) -> World:
    world.desk.sign(spares=(HOLDER,))
    return world


def give_up(world: World) -> None:
    bring(world)
    bring(world)
    exchange(world.desk.open(STANDBY), SERVICE)
    world.desk.advance(LOCK)
    bring(world)
    thin_here(world.desk)
    assert held_here(world.desk) == []


def test_a_spare_that_gave_up_its_copy_withholds_nothing_and_freezes_no_holder(spare: World) -> None:
    give_up(spare)
    node = spare.desk.open(STANDBY)
    found = exchange(node, SERVICE)
    assert HOLDER in found.answered
    assert found.withheld == {}
    assert alarm_of(node, found) == ()
    spare.desk.sign(placed=(STANDBY, HOLDER, SPARE), spares=(), former_holders=())
    assert exchange(spare.desk.open(STANDBY), SERVICE).withheld == {}, "a holder again, it owes what comes now"


def test_a_spare_that_holds_a_copy_still_is_brought_nothing_that_it_refuses(
    spare: World, history: list[Generation]
) -> None:
    bring(spare)
    desk = spare.desk
    newer = desk.seal(desk.grant(), {"config": b"config", "data/0/99": b"new"}, history[-1])
    for at in (STANDBY, SPARE):
        desk.put(newer, desk.grant(), at=at)
    found = exchange(desk.open(STANDBY), SERVICE)
    assert (found.to_bring, found.behind) == ({}, {})


@pytest.mark.parametrize("again", ["stands in", "holder"])
def test_what_was_given_up_comes_again_where_the_node_has_to_hold_it(
    spare: World, history: list[Generation], again: str
) -> None:
    give_up(spare)
    desk = spare.desk
    states = [(it.held, it.thinned, it.given_up) for it in desk.holding(HOLDER).stored()]
    assert states == [(False, False, True)] * len(history)
    if again == "holder":
        desk.sign(placed=(STANDBY, SPARE, HOLDER), spares=(), former_holders=())
    for name in (STANDBY, HOLDER):
        node = desk.open(name)
        keep_act(node.layout.acts, desk.act("lost", SPARE), node.bundle)
    node = desk.open(STANDBY)
    replicate(node, SERVICE, HOLDER, load_acts(node.layout.acts, node.bundle))
    assert held_here(desk) == [made.name for made in history]


def test_the_agent_goes_on_thinning_until_nothing_of_what_was_given_up_is_left(spare: World) -> None:
    """With its last generation a service left the view, and with it all work: the blobs stayed for ever."""
    give_up(spare)
    desk, days = spare.desk, 0
    while wants_to_thin(desk):
        thin_here(desk)
        desk.advance(DAY)
        days += 1
        assert days < 10, "it never ends"
    assert days > 2
    assert list(desk.holding(HOLDER).blobs()) == []
    assert desk.holding(HOLDER).folders() == ()


def wants_to_thin(desk: Desk) -> bool:
    node = desk.open(HOLDER)
    seen = Observer().look(node, now_of(node), Memory())
    return any(isinstance(it, Thin) and it.service == SERVICE for it in decide(seen, now_of(node), Intervals()))
