"""A peer keeps what its own rules say, whatever the origin, the wall clock or the order of the question."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.backup.chain.retention import MONTH, TIERS, YEAR, Drop, Generation, Keep, prune
from appliance.units import DAY, HOUR
from tests.unit.backup.histories import LOCK, after, generation, histories, kept, line, locks, nows


@given(histories(), nows, locks)
def test_nothing_younger_than_the_lock_is_dropped(history: list[Generation], now: int, lock: int) -> None:
    left = set(kept(prune(history, now, lock)))
    assert {item.id for item in history if now - item.received_age_seconds < lock} <= left


@given(histories(), nows, locks)
def test_thinning_again_at_once_drops_nothing_more(history: list[Generation], now: int, lock: int) -> None:
    once = after(history, now, lock)
    assert after(once, now, lock) == once


@given(histories(), nows, locks)
def test_the_newest_of_each_branch_and_epoch_is_kept(history: list[Generation], now: int, lock: int) -> None:
    left = set(kept(prune(history, now, lock)))
    parents = {item.previous for item in history}
    assert {item.id for item in history if item.id.digest not in parents} <= left
    assert max(item.id for item in history) in left
    for epoch in {item.id.epoch for item in history}:
        assert max((item.id for item in history if item.id.epoch == epoch), key=lambda name: name.sequence) in left


@given(histories(), nows, locks)
def test_everything_is_kept_while_frozen(history: list[Generation], now: int, lock: int) -> None:
    assert set(kept(prune(history, now, lock, frozen=True))) == {item.id for item in history}


@given(histories(), nows, locks, st.integers(1, 300))
def test_only_ages_count_and_never_when_the_ageing_clock_began(
    history: list[Generation], now: int, lock: int, months: int
) -> None:
    shift = months * MONTH
    shifted = [replace(item, received_age_seconds=item.received_age_seconds + shift) for item in history]
    assert kept(prune(shifted, now + shift, lock)) == kept(prune(history, now, lock))


@given(histories(), nows, locks)
def test_the_order_of_the_question_does_not_count(history: list[Generation], now: int, lock: int) -> None:
    assert prune(history, now, lock) == prune(sorted(history, key=lambda item: item.id), now, lock)


@given(histories(), st.lists(st.integers(0, 200 * DAY), max_size=12), locks)
def test_thinning_often_keeps_no_less_than_thinning_once(
    history: list[Generation], spans: list[int], lock: int
) -> None:
    """A holder that prunes each night must not end with fewer points in time than one that wakes after a year."""
    often, now = history, 0
    for span in spans:
        now += span
        often = after(often, now, lock)
    assert kept(prune(often, now, lock)) == kept(prune(history, now, lock))


@given(histories(), nows, st.integers(0, 3 * YEAR), locks)
def test_time_alone_never_brings_a_dropped_generation_back(
    history: list[Generation], now: int, later: int, lock: int
) -> None:
    assert set(kept(prune(history, now + later, lock))) <= set(kept(prune(history, now, lock)))


def test_a_generation_received_later_than_now_is_young() -> None:
    history = line([400 * DAY, 401 * DAY, 402 * DAY])
    assert len(kept(prune(history, 5 * DAY, LOCK))) == 3


def test_three_years_of_a_backup_each_four_hours() -> None:
    history = line(range(0, 3 * YEAR, 4 * HOUR))
    now = 3 * YEAR
    ages = {item.id: now - item.received_age_seconds for item in history}
    decisions = prune(history, now, LOCK)
    left = [ages[name] for name in kept(decisions)]
    days = [sum(since * DAY < age <= until * DAY for age in left) for since, until in pairwise((0, 30, 90, 212, 1096))]
    # The edges of a period may lie on the other side of a limit, hence two more or less.
    assert days == pytest.approx([30 * 6, 60 * 2, 2 * (212 - 90) / 7, 2 * (1095 - 212) / 28], abs=2)
    assert decisions[0] == Keep(history[0].id, "the first of its month")


def test_what_an_intruder_adds_in_a_day_never_takes_the_place_of_what_was_there_before() -> None:
    flooded = line([100 * DAY + HOUR, *range(100 * DAY + 2 * HOUR, 100 * DAY + 9 * HOUR, 60)])
    decisions = prune(flooded, 160 * DAY, LOCK)
    assert decisions[0] == Keep(flooded[0].id, "the first of its day")
    assert kept(decisions) == [flooded[0].id, flooded[-1].id]


def test_a_branch_keeps_its_newest_even_when_the_middle_of_another_is_gone() -> None:
    main = line(range(0, 40 * MONTH, DAY))
    branch = line([10 * MONTH + 15 * DAY + HOUR], epoch=4, parent=main[10 * 28].id.digest)
    history = after(main + branch, 41 * MONTH)
    left = [item for item in history if item.held]
    assert branch[0].id in [item.id for item in left]
    assert len(left) < 200, "a generation whose child is dropped is not taken for a branch's newest"


def test_the_newest_held_of_an_epoch_is_kept_when_a_later_one_went_to_others() -> None:
    *held, elsewhere = line([0, HOUR, 2 * HOUR, 3 * HOUR])
    then = generation(4, 5, 4 * HOUR, elsewhere.id.digest)
    history = [*held, replace(elsewhere, held=False), then]
    assert held[-1].id in kept(prune(history, 20 * YEAR, LOCK))


def test_both_sides_of_a_fork_are_kept() -> None:
    start = line([0])
    sides = [generation(2, 2, HOUR * side, start[0].id.digest, side) for side in (1, 2, 3)]
    assert {item.id for item in sides} <= set(kept(prune(start + sides, 20 * YEAR, LOCK)))


def test_after_ten_years_only_the_newest_is_left() -> None:
    history = line(range(0, 100 * DAY, DAY))
    decisions = prune(history, 12 * YEAR, LOCK)
    assert kept(decisions) == [history[-1].id]
    assert isinstance(decisions[0], Drop)
    assert "older than all that is kept" in decisions[0].reason


def test_every_period_is_made_of_whole_shorter_ones() -> None:
    """Otherwise the first of a month could be dropped while weeks count, before months do."""
    for shorter, longer in pairwise(TIERS):
        assert longer.period_seconds % shorter.period_seconds == 0
        assert longer.seconds > shorter.seconds


def test_what_a_revoked_node_could_read_ends_after_ten_years_once_newer_is_held() -> None:
    old = line([0, DAY])
    new = line([40 * DAY], epoch=4, parent=old[-1].id.digest)
    late = LOCK + TIERS[-1].seconds + 2 * DAY
    assert old[-1].id in kept(prune(old + new, late, LOCK)), "the newest of its epoch stays for ever"
    assert kept(prune(old + new, late, LOCK, ended=2)) == [new[-1].id]
    assert old[-1].id in kept(prune(old, late, LOCK, ended=2)), "not while it is the newest that there is"
    assert set(kept(prune(old + new, LOCK, LOCK, ended=2))) == {it.id for it in old + new}, (
        "the lock holds all the same"
    )


moments = st.integers(0, 3 * YEAR)
told = st.lists(st.tuples(moments, st.one_of(moments, st.integers(-100 * YEAR, 100 * YEAR))), min_size=1, max_size=30)


@given(told, st.data(), st.integers(0, 12 * YEAR))
def test_what_is_handed_on_makes_nothing_go_that_the_writer_brought(
    said: list[tuple[int, int]], data: st.DataObject, now: int
) -> None:
    """Whatever two readings are told of it: a liar could date others right before and right after the true ones."""
    chain = line(sorted(age for age, _ in said))
    handed_on = data.draw(st.sets(st.sampled_from(chain[:-1]).map(lambda it: it.id))) if chain[1:] else set[object]()
    alone = [replace(it, held=it.id not in handed_on) for it in chain]
    mixed = [_told(it, *lie) if it.id in handed_on else it for it, lie in zip(chain, said, strict=True)]
    assert set(kept(prune(alone, now, LOCK))) <= set(kept(prune(mixed, now, LOCK)))


@given(told, st.booleans(), st.integers(0, 12 * YEAR))
def test_one_true_reading_keeps_what_was_handed_on(said: list[tuple[int, int]], by_word: bool, now: int) -> None:
    """The holder that hands it on lies, or the writer about its times; not both."""
    chain = line(sorted(age for age, _ in said))
    readings = [(it.received_age_seconds, lie) for it, (_, lie) in zip(chain, said, strict=True)]
    mixed = [_told(it, *(each if by_word else each[::-1])) for it, each in zip(chain, readings, strict=True)]
    assert set(kept(prune(chain, now, LOCK))) <= set(kept(prune(mixed, now, LOCK)))


def _told(generation: Generation, by_word: int, by_header: int) -> Generation:
    return replace(generation, received_age_seconds=max(by_word, by_header), relayed=(by_word, by_header))
