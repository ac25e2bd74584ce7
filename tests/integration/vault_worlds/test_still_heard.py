"""A word that nothing changed, from the writer's mouth to everybody who shows how old the service is."""

from __future__ import annotations

import json

import pytest

from appliance.agent.memory import Memory
from appliance.agent.observe import Observer, now_of
from appliance.backup.chain.chain import Chain, Sealed, chain_of
from appliance.backup.chain.seal import will_compact
from appliance.backup.peers.conversation import Lines
from appliance.backup.peers.exchange import exchange
from appliance.backup.still.heard import SAID, SHOWN, heard, said_file, shown_file, still_of
from appliance.backup.still.send import say_still
from appliance.backup.writer import compacted
from appliance.clock import SKEW_SECONDS_MAX, utc_text
from appliance.monitor.view import Held, Written
from appliance.portal.freshness import freshness
from appliance.units import HOUR
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, STANDBY, VaultWorld
from tests.worlds.vaults_in_process import World

TARGETS = (STANDBY, HOLDER)


@pytest.fixture
def sealed(begun: World) -> Sealed:
    """A generation that both replica nodes have; two hours passed since."""
    made, _ = begun.run(ORIGIN)
    pass_time(begun, 2 * HOUR)
    return made


def pass_time(world: World, seconds: float) -> None:
    for clock in world.vaults.clocks.values():
        clock.advance(seconds)


def say(world: World, sealed: Sealed) -> str:
    """Why one did not take it; "" when all did."""
    node = world.vaults.open(ORIGIN)
    with Lines(node) as lines:
        return say_still(node, sealed.header, utc_text(node.clock.now()), TARGETS, lines)


def written(vaults: VaultWorld) -> Written:
    node = vaults.open(ORIGIN)
    (found,) = Observer().look(node, now_of(node), Memory(), thorough=True).written
    return found


def held(vaults: VaultWorld, name: str) -> Held:
    node = vaults.open(name)
    return next(it for it in Observer().look(node, now_of(node), Memory()).held if it.service == SERVICE)


def ago(world: World, moment: float) -> int:
    return round(world.vaults.clocks[ORIGIN].now() - moment)


def test_the_writer_and_each_replica_node_are_as_fresh_as_the_last_word(begun: World, sealed: Sealed) -> None:
    assert say(begun, sealed) == ""
    pass_time(begun, 900)
    assert say(begun, sealed) == ""
    pass_time(begun, 60)
    seen = written(begun.vaults)
    assert seen.newest is not None
    assert seen.safe_newest == seen.newest
    assert ago(begun, seen.newest.as_of) == 60
    for name in TARGETS:
        here = held(begun.vaults, name)
        assert here.newest is not None
        assert (ago(begun, here.newest.as_of), ago(begun, here.still_received)) == (60, 60)


def test_a_peer_that_did_not_take_it_leaves_the_word_before_in_force(begun: World, sealed: Sealed) -> None:
    assert say(begun, sealed) == ""
    pass_time(begun, 900)
    begun.down = frozenset({HOLDER})
    assert f"{HOLDER} does not take the word for it" in say(begun, sealed)
    seen = written(begun.vaults)
    assert seen.newest is not None
    assert ago(begun, seen.newest.as_of) == 900
    begun.down = frozenset()
    assert say(begun, sealed) == "", "a number that left once is never used again"


def test_while_the_next_generation_is_on_its_way_the_last_word_still_counts(begun: World, sealed: Sealed) -> None:
    """Its age would jump to that of the generation before, and raise an alert, at each push."""
    assert say(begun, sealed) == ""
    pass_time(begun, 900)
    begun.down = frozenset({HOLDER})
    begun.run(ORIGIN)
    seen = written(begun.vaults)
    assert seen.safe_newest is not None
    assert seen.safe_newest.name == sealed.header.id.name
    assert ago(begun, seen.safe_newest.as_of) == 900


def test_a_standby_dates_the_service_by_what_the_others_showed(begun: World, sealed: Sealed) -> None:
    node = begun.vaults.open(STANDBY)
    exchange(node, SERVICE)
    assert say(begun, sealed) == ""
    generation = freshness(node, (SERVICE,))[SERVICE].safe_seconds
    assert generation is not None
    assert ago(begun, generation) == 2 * HOUR, "the other holder has not shown its word yet: one alone is none"
    exchange(node, SERVICE)
    fresh = freshness(node, (SERVICE,))[SERVICE].safe_seconds
    assert fresh is not None
    assert ago(begun, fresh) == 0


def test_what_one_peer_shows_in_the_place_of_its_word_is_not_kept(begun: World, sealed: Sealed) -> None:
    assert say(begun, sealed) == ""
    replica = begun.vaults.holding(HOLDER)
    word = json.loads((replica.root / "still").read_bytes())
    (replica.root / "still").unlink()
    (replica.root / "still").write_text(json.dumps(word | {"receipt": word["receipt"].replace("A", "B")}))
    node = begun.vaults.open(STANDBY)
    found = exchange(node, SERVICE)
    assert HOLDER in found.answered, "a word that does not hold stops nothing else"
    assert SHOWN.load_or(shown_file(node, SERVICE), {}) == {}


def test_a_word_of_a_time_to_come_makes_nothing_fresh(begun: World, sealed: Sealed) -> None:
    """The clock was set back since: until it is right again, the word says nothing."""
    assert say(begun, sealed) == ""
    for clock in begun.vaults.clocks.values():
        clock.jump_wall(-SKEW_SECONDS_MAX - HOUR)
    seen = written(begun.vaults)
    assert seen.newest is not None
    assert seen.newest.still == 0.0
    assert held(begun.vaults, STANDBY).still_received == 0.0


def test_a_record_that_cannot_be_read_is_none(begun: World, sealed: Sealed) -> None:
    assert say(begun, sealed) == ""
    said_file(begun.vaults.layout(ORIGIN).service(SERVICE)).write_text("{")
    seen = written(begun.vaults)
    assert seen.newest is not None
    assert seen.newest.still == 0.0
    assert SAID.load_or(said_file(begun.vaults.layout(ORIGIN).service(SERVICE)), None) is None


def test_a_generation_that_a_pruning_seals_has_the_date_of_the_last_word(
    begun: World, sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its newest archive is that of the generation before it: the service would look hours older until the next run."""
    newest, _ = begun.run(ORIGIN)
    pass_time(begun, HOUR)
    assert say(begun, newest) == ""
    said = begun.vaults.clocks[ORIGIN].now()
    pass_time(begun, 900)
    node = begun.vaults.open(ORIGIN)
    monkeypatch.setattr(compacted, "PINNED_BYTES_MIN", 1)
    will_compact(node.service(SERVICE))
    (node.service(SERVICE).repository / "data/0/1").unlink()
    chain = chain_of(node, SERVICE)
    made = compacted.seal_compacted(node, SERVICE, chain, chain.grant())
    assert made is not None
    assert made.header.time == utc_text(said)


def test_the_age_of_a_service_is_told_without_reading_what_years_of_takeovers_left(
    begun: World, sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert say(begun, sealed) == ""
    node = begun.vaults.open(ORIGIN)
    chain = chain_of(node, SERVICE)
    monkeypatch.setattr(Chain, "grants", None)
    words = heard(node, SERVICE)
    assert {it.holder for it in words} == set(TARGETS)
    assert ago(begun, still_of(node, SERVICE, chain, words, frozenset(), sealed.header.id)) == 0
    assert chain.grant_of(sealed.header.epoch + 2) is None
