"""A service is gone on from the generation with which its last writer gave it up, or from none."""

from __future__ import annotations

import pytest

from appliance.backup.chain.continuation import is_orphaned
from appliance.backup.chain.orphaned_generations import orphaned_notice
from appliance.backup.chain.resync import fetch_for_resync, request_after_fetch
from appliance.backup.peers.fetched import remember_fetched
from appliance.errors import Unreachable
from appliance.units import DAY
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, STANDBY
from tests.worlds.vaults_in_process import World


@pytest.fixture
def world(begun: World) -> World:
    """The standby has 2.1; of 2.2, with which the origin gave the service up, only the blind peer has a copy."""
    begun.run(ORIGIN)
    begun.down = frozenset({STANDBY})
    begun.run(ORIGIN)
    begun.down = frozenset()
    return begun


def last(world: World) -> str:
    return world.vaults.holding(HOLDER).stored()[-1].name


def test_a_standby_waits_for_the_silent_holder_of_what_was_given_up_and_goes_on_from_nothing_older(
    world: World,
) -> None:
    named, standby = last(world), world.vaults.open(STANDBY)
    world.down = frozenset({HOLDER})
    older, _ = fetch_for_resync(standby, SERVICE)
    assert str(older.header.id) == "2.1", "the newest of those who answer"
    with pytest.raises(
        Unreachable, match=r"given up with generation 2\.2, and no node that answers holds it"
    ) as refused:
        fetch_for_resync(standby, SERVICE, required=named)
    assert f"{HOLDER} does not answer." in refused.value.what
    sign = f"act sign promote {STANDBY} --service {SERVICE} --generation {older.header.id.name} --reason WHY --operator"
    assert sign in refused.value.remedy
    world.down = frozenset()
    found, _ = fetch_for_resync(standby, SERVICE, required=named)
    assert found.header.id.name == named


def test_a_writer_that_takes_its_service_back_goes_on_from_what_it_sealed_though_nobody_else_answers(
    world: World,
) -> None:
    named, origin = last(world), world.vaults.open(ORIGIN)
    world.down = frozenset({HOLDER})
    found, _ = fetch_for_resync(origin, SERVICE, required=named)
    assert found.header.id.name == named


def test_what_a_later_writer_sealed_has_what_was_given_up_before_it(world: World) -> None:
    named = last(world)
    world.adopt(STANDBY, world.fetch_to_continue(STANDBY))
    newest, _ = world.run(STANDBY)
    found, _ = fetch_for_resync(world.vaults.open(ORIGIN), SERVICE, required=named)
    assert found.header.id == newest.header.id
    assert is_orphaned(world.vaults.open(ORIGIN), SERVICE, named) is False


def test_who_gave_a_service_up_learns_that_the_next_writer_went_on_from_an_older_generation(world: World) -> None:
    named, origin, standby = last(world), world.vaults.open(ORIGIN), world.vaults.open(STANDBY)
    assert is_orphaned(origin, SERVICE, named) is None, "nobody has gone on yet"
    world.down = frozenset({HOLDER})
    older, survey = fetch_for_resync(standby, SERVICE)
    remember_fetched(standby, SERVICE, older)
    world.adopt(STANDBY, world.grant(request_after_fetch(standby, SERVICE, survey, "test"), STANDBY))
    world.run(STANDBY)
    fetch_for_resync(origin, SERVICE)
    assert is_orphaned(origin, SERVICE, named) is True


def test_a_safe_generation_that_a_takeover_passed_over_is_told_once_its_holder_is_back(world: World) -> None:
    passed, standby = last(world), world.vaults.open(STANDBY)
    world.down = frozenset({HOLDER, ORIGIN})
    older, survey = fetch_for_resync(standby, SERVICE)
    remember_fetched(standby, SERVICE, older)
    world.adopt(STANDBY, world.grant(request_after_fetch(standby, SERVICE, survey, "silence"), STANDBY))
    world.run(STANDBY)
    assert orphaned_notice(standby, SERVICE) == ("", ""), "nobody who answers has it"
    world.down = frozenset()
    world.run(STANDBY)
    sentence, remedy = orphaned_notice(standby, SERVICE)
    assert sentence.startswith(f"{HOLDER} holds generation 2.2, which the present history does not continue")
    assert "--from generation:2.2" in remedy
    world.run(STANDBY)
    (event,) = standby.journal.events("left-behind")
    assert (event["generation"], event["peer"]) == (passed, HOLDER)
    world.vaults.advance(15 * DAY)
    assert orphaned_notice(world.vaults.open(STANDBY), SERVICE) == ("", "")


def test_nothing_is_orphaned_by_a_takeover_from_the_newest(world: World) -> None:
    world.adopt(STANDBY, world.fetch_to_continue(STANDBY))
    world.run(STANDBY)
    world.run(STANDBY)
    assert orphaned_notice(world.vaults.open(STANDBY), SERVICE) == ("", "")
