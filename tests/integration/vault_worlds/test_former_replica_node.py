"""A node that holds a service no more: it brings the present holders what they lack, and gives its own copy up last."""

from __future__ import annotations

import json

import pytest

from appliance.agent.decide import decide
from appliance.agent.decisions import PruneVault
from appliance.agent.intervals import Intervals
from appliance.agent.memory import Memory
from appliance.agent.observe import Observer, now_of
from appliance.backup.peers import conversation
from appliance.backup.peers.alarms import alarm_of
from appliance.backup.peers.exchange import catch_up, exchange
from appliance.backup.peers.replicate import replicate
from appliance.backup.vault.maintenance.former_replica import load_shown_receipts
from appliance.errors import Forbidden
from appliance.node.acts import keep_act, load_acts
from appliance.units import DAY
from tests.integration.vault_worlds.history import held_here, thin_here
from tests.worlds.vaults import (
    HOLDER,
    ORIGIN,
    SERVICE,
    SPARE,
    STANDBY,
    Generation,
    VaultWorld,
    ask,
    assert_whole,
)
from tests.worlds.vaults_in_process import World

LOCK = 30 * DAY
EDGES = 6
"""How many of the history any holder keeps after its lock: the first and the last of each of three days."""


@pytest.fixture
def world(vaults: VaultWorld, history: list[Generation], monkeypatch: pytest.MonkeyPatch) -> World:
    """commune-b has the history of three days, and the copy went to commune-c; commune-b is not even a spare."""
    made = World(vaults)
    monkeypatch.setattr(conversation, "Line", made.line)
    vaults.sign(placed=(STANDBY, SPARE), spares=(), former_holders=(HOLDER,))
    return made


def bring(world: World) -> None:
    """The hour of commune-b: it asks the present holders, and brings them what they lack."""
    node = world.vaults.open(HOLDER)
    done = catch_up(node, SERVICE, exchange(node, SERVICE))
    assert not [it for it in done.values() if isinstance(it, Exception)], done


def test_a_former_holder_gives_up_its_last_copy_a_lock_after_all_others_had_everything(
    world: World, history: list[Generation]
) -> None:
    vaults = world.vaults
    bring(world)
    assert assert_whole(vaults, STANDBY) == assert_whole(vaults, SPARE) == [made.name for made in history]
    bring(world)
    vaults.advance(LOCK - DAY)
    bring(world)
    thin_here(vaults)
    assert {history[0].name, history[-1].name} < set(held_here(vaults)), "they have not shown it for a whole lock"
    vaults.advance(DAY)
    thin_here(vaults)
    assert held_here(vaults) == []
    for _ in range(2):
        vaults.advance(2 * DAY)
        thin_here(vaults)
    assert list(vaults.holding(HOLDER).blobs()) == []


def test_status_of_a_former_holder_says_since_when_it_is_held_elsewhere_and_when_the_copy_goes(world: World) -> None:
    node = world.vaults.open(HOLDER)
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
    node = world.vaults.open(HOLDER)
    catch_up(node, SERVICE, exchange(node, SERVICE))
    exchange(node, SERVICE)
    for _ in range(12):
        world.vaults.advance(365 * DAY)
        exchange(node, SERVICE)
        thin_here(world.vaults)
    assert held_here(world.vaults)[-1] == history[-1].name


def test_a_former_holder_keeps_what_only_it_has_though_the_others_hold_newer_ones(
    world: World, history: list[Generation]
) -> None:
    vaults = world.vaults
    for at in (STANDBY, SPARE):
        vaults.put(history[-1], vaults.grant(), at=at, before=history[:-1])
    exchange(vaults.open(HOLDER), SERVICE)  # and nothing is brought: the others have no room
    vaults.advance(LOCK + DAY)
    exchange(vaults.open(HOLDER), SERVICE)
    thin_here(vaults)
    kept = held_here(vaults)
    assert history[-1].name not in kept
    assert kept[0] == history[0].name


def test_a_former_holder_gives_up_nothing_to_a_receipt_that_is_not_the_holders_own(world: World) -> None:
    vaults = world.vaults
    bring(world)
    bring(world)
    file = vaults.open(HOLDER).layout.last_seen / f"{SERVICE}.shown"
    shown = json.loads(file.read_bytes())
    shown[SPARE] = shown[STANDBY]  # one voice twice
    file.write_text(json.dumps(shown))
    vaults.advance(LOCK + DAY)
    thin_here(vaults)
    assert held_here(vaults) != []


def test_a_holder_that_shows_less_than_before_has_to_show_it_for_a_lock_again(
    world: World, history: list[Generation]
) -> None:
    vaults = world.vaults
    bring(world)
    bring(world)
    vaults.advance(LOCK - DAY)
    replica = vaults.holding(SPARE)
    for made in history:
        (replica.generations / made.name / "list").unlink()
        (replica.generations / made.name / "receipt").unlink()
    exchange(vaults.open(HOLDER), SERVICE)
    assert SPARE not in load_shown_receipts(vaults.open(HOLDER), SERVICE)
    bring(world)
    vaults.advance(DAY)
    thin_here(vaults)
    assert len(held_here(vaults)) == EDGES


@pytest.mark.parametrize("act", ["hold", "freeze"])
def test_a_former_holder_gives_up_nothing_while_an_act_forbids_it(world: World, act: str) -> None:
    vaults = world.vaults
    bring(world)
    bring(world)
    vaults.advance(LOCK + DAY)
    node = vaults.open(HOLDER)
    keep_act(node.layout.acts, vaults.act(act, SERVICE), node.bundle)
    thin_here(vaults)
    assert held_here(vaults) != []


def test_a_former_holder_gives_up_nothing_while_one_of_the_service_is_lost(world: World) -> None:
    vaults = world.vaults
    bring(world)
    bring(world)
    vaults.advance(LOCK + DAY)
    node = vaults.open(HOLDER)
    keep_act(node.layout.acts, vaults.act("lost", ORIGIN), node.bundle)
    thin_here(vaults)
    assert held_here(vaults) != []


def test_a_holder_by_the_plan_gives_up_nothing_however_much_the_others_have(
    world: World, history: list[Generation]
) -> None:
    vaults = world.vaults
    bring(world)
    bring(world)
    vaults.advance(LOCK + DAY)
    vaults.sign(placed=(STANDBY, HOLDER, SPARE), former_holders=())
    thin_here(vaults)
    assert held_here(vaults)[-1] == history[-1].name


def test_a_former_holder_may_show_and_bring_but_reads_nothing(world: World) -> None:
    for verb in ("get", "put", "prove"):
        with world.vaults.session(STANDBY, HOLDER) as channel:
            ask(channel, verb)
            with pytest.raises(Forbidden):
                channel.read_frame()


# Where the former holder is a spare, which the others ask.


@pytest.fixture
def spare(world: World) -> World:
    world.vaults.sign(spares=(HOLDER,))
    return world


def give_up(world: World) -> None:
    bring(world)
    bring(world)
    exchange(world.vaults.open(STANDBY), SERVICE)
    world.vaults.advance(LOCK)
    bring(world)
    thin_here(world.vaults)
    assert held_here(world.vaults) == []


def test_a_spare_that_gave_up_its_copy_withholds_nothing_and_freezes_no_holder(spare: World) -> None:
    give_up(spare)
    node = spare.vaults.open(STANDBY)
    found = exchange(node, SERVICE)
    assert HOLDER in found.answered
    assert found.withheld == {}
    assert alarm_of(node, found) == ()
    spare.vaults.sign(placed=(STANDBY, HOLDER, SPARE), spares=(), former_holders=())
    assert exchange(spare.vaults.open(STANDBY), SERVICE).withheld == {}, "a holder again, it owes what comes now"


def test_a_spare_that_holds_a_copy_still_is_brought_nothing_that_it_refuses(
    spare: World, history: list[Generation]
) -> None:
    bring(spare)
    vaults = spare.vaults
    newer = vaults.seal(vaults.grant(), {"config": b"config", "data/0/99": b"new"}, history[-1])
    for at in (STANDBY, SPARE):
        vaults.put(newer, vaults.grant(), at=at)
    found = exchange(vaults.open(STANDBY), SERVICE)
    assert (found.to_bring, found.behind) == ({}, {})


@pytest.mark.parametrize("again", ["stands in", "holder"])
def test_what_was_given_up_comes_again_where_the_node_has_to_hold_it(
    spare: World, history: list[Generation], again: str
) -> None:
    give_up(spare)
    vaults = spare.vaults
    states = [(it.held, it.pruned, it.given_up) for it in vaults.holding(HOLDER).stored()]
    assert states == [(False, False, True)] * len(history)
    if again == "holder":
        vaults.sign(placed=(STANDBY, SPARE, HOLDER), spares=(), former_holders=())
    for name in (STANDBY, HOLDER):
        node = vaults.open(name)
        keep_act(node.layout.acts, vaults.act("lost", SPARE), node.bundle)
    node = vaults.open(STANDBY)
    replicate(node, SERVICE, HOLDER, load_acts(node.layout.acts, node.bundle))
    assert held_here(vaults) == [made.name for made in history]


def test_the_agent_goes_on_thinning_until_nothing_of_what_was_given_up_is_left(spare: World) -> None:
    """With its last generation a service left the view, and with it all work: the blobs stayed for ever."""
    give_up(spare)
    vaults, days = spare.vaults, 0
    while wants_to_thin(vaults):
        thin_here(vaults)
        vaults.advance(DAY)
        days += 1
        assert days < 10, "it never ends"
    assert days > 2
    assert list(vaults.holding(HOLDER).blobs()) == []
    assert vaults.holding(HOLDER).folders() == ()


def wants_to_thin(vaults: VaultWorld) -> bool:
    node = vaults.open(HOLDER)
    seen = Observer().look(node, now_of(node), Memory())
    return any(isinstance(it, PruneVault) and it.service == SERVICE for it in decide(seen, now_of(node), Intervals()))
