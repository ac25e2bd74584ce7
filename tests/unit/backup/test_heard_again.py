"""An act `lost` ends at each node that hears the lost one itself, and by a counter-act; by nobody's word."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.backup.peers.last_seen import declared_lost, heard_times, lost_now, record
from appliance.cli.act import check_useful
from appliance.clock import SKEW_SECONDS_MAX, SimulatedClock, utc_seconds, utc_text
from appliance.config.load import load
from appliance.errors import Refused
from appliance.host.files import make_private_folder
from appliance.node.acts import accept_act, load_acts
from appliance.node.handle import Node, open_node
from appliance.trust.act import make_act
from appliance.trust.keys import create_key
from appliance.units import DAY, HOUR
from tests.worlds.demo import INVENTORY, signed_territory, with_operator

SERVICE, LOST, HERE = "docs-a", "commune-b", "hermitage"
NOON = utc_seconds("2026-11-25T12:00:00Z")


@dataclass
class World:
    node: Node
    clock: SimulatedClock
    key: Path

    def sign(self, seconds: float = 14 * DAY, at: float = 0.0, act: str = "lost", **more: str) -> bytes:
        start = at or self.clock.now()
        fields = {"act": act, "subject": LOST, "service": "any", "operator": "maintenance", "reason": "burnt down"}
        return make_act({**fields, "start": utc_text(start), "end": utc_text(start + seconds), **more}, self.key)

    def lost(self) -> frozenset[str]:
        return declared_lost(self.node, SERVICE, load_acts(self.node.layout.acts, self.node.bundle))

    def hear(self, *names: str) -> None:
        record(self.node, SERVICE, dict.fromkeys(names, ()))


@pytest.fixture
def world(tmp_path: Path) -> World:
    create_key(tmp_path / "maintenance")
    territory = signed_territory(tmp_path / "t", with_operator(load(INVENTORY), tmp_path / "maintenance"))
    clock = SimulatedClock(now=NOON)
    return World(open_node(territory.nodes[HERE].state, clock), clock, tmp_path / "maintenance")


def test_a_loss_ends_once_the_node_or_its_replacement_answers_here(world: World) -> None:
    world.hear(LOST, "commune-a")
    world.clock.advance(HOUR)
    accept_act(world.node, world.sign())
    assert world.lost() == lost_now(world.node, SERVICE) == {LOST}, "what it said before does not count"
    world.clock.advance(HOUR)
    world.hear("commune-a")
    assert world.lost() == {LOST}, "another one's answer is not its own"
    world.hear(LOST)
    assert world.lost() == lost_now(world.node, SERVICE) == frozenset()
    world.clock.advance(HOUR)
    accept_act(world.node, world.sign())
    assert world.lost() == {LOST}, "it is lost again"


def test_a_node_that_is_watched_for_the_first_time_gave_no_sign_of_life(world: World) -> None:
    """A new bundle makes this node a replica node after the loss: the dead one counts as seen then, not as heard."""
    accept_act(world.node, world.sign())
    world.clock.advance(DAY)
    world.hear("commune-a")
    assert heard_times(world.node, SERVICE).keys() == {"commune-a"}
    assert world.lost() == {LOST}


def test_an_answer_soon_after_the_act_ends_nothing_since_clocks_differ(world: World) -> None:
    accept_act(world.node, world.sign())
    world.clock.advance(SKEW_SECONDS_MAX)
    world.hear(LOST)
    assert world.lost() == {LOST}


def test_a_wall_clock_that_was_ahead_once_ends_no_later_loss(world: World) -> None:
    world.clock.jump_wall(400 * DAY)
    world.hear(LOST)
    world.clock.jump_wall(-400 * DAY)
    world.clock.advance(HOUR)
    accept_act(world.node, world.sign())
    assert world.lost() == {LOST}


def test_an_act_that_names_the_loss_takes_it_back(world: World) -> None:
    raw = world.sign()
    digest = accept_act(world.node, raw).document.line_digest
    accept_act(world.node, world.sign(0, act="lost", takes_back=digest))
    assert world.lost() == frozenset()
    world.clock.advance(HOUR)
    accept_act(world.node, world.sign())
    assert world.lost() == {LOST}, "a later one counts"


def test_an_act_of_a_node_that_is_back_or_that_has_ended_is_refused_with_what_to_do(world: World) -> None:
    early, short = world.sign(), world.sign(HOUR)
    act = accept_act(world.node, early)
    check_useful(world.node, act, world.clock.now())
    world.clock.advance(DAY)
    with pytest.raises(Refused, match=f'"lost" of {LOST} ended on 2026-11-25T13:00:00Z') as ended:
        check_useful(world.node, accept_act(world.node, short), world.clock.now())
    assert f"act sign lost {LOST}" in ended.value.remedy
    world.hear(LOST)
    with pytest.raises(Refused, match=f"{LOST} is not lost: it answered {HERE} on 2026-11-26T12:00:00Z"):
        check_useful(world.node, act, world.clock.now())


def test_a_file_of_what_was_heard_that_is_damaged_ends_nothing(world: World) -> None:
    accept_act(world.node, world.sign())
    make_private_folder(world.node.layout.last_seen)
    (world.node.layout.last_seen / f"{SERVICE}.heard").write_text('{"commune-b": {"age": 0, "time": "soon"}}')
    assert world.lost() == {LOST}
