"""A full quota lets its oldest history go, one generation a day, and never what somebody could want to be rid of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.backup.chain.retention import FLOOR_MONTHS, MONTH, YEAR, Drop, Generation, Keep, prune, prune_early
from appliance.trust.generation import GenerationId
from appliance.units import DAY
from tests.unit.backup.histories import LOCK, after, histories, line, locks, nows

FLOOR = LOCK + FLOOR_MONTHS * MONTH


def pruned_to_the_end(history: list[Generation], now: int, lock: int) -> list[Generation]:
    """`history` once a full quota has let go of all that it may."""
    while found := prune_early(history, now, lock):
        history = [replace(item, held=item.held and item.id != found.id) for item in history]
    return history


def held(history: list[Generation]) -> list[Generation]:
    return [item for item in history if item.held]


def months_with_a_whole_one(history: list[Generation], since: int) -> set[int]:
    return {it.received_age_seconds // MONTH for it in held(history) if it.whole and it.received_age_seconds > since}


@st.composite
def partly(draw: st.DrawFn) -> list[Generation]:
    """A history in which some generations are not whole."""
    history = draw(histories())
    flags = draw(st.lists(st.booleans(), min_size=len(history), max_size=len(history)))
    return [replace(item, whole=flag) for item, flag in zip(history, flags, strict=True)]


@given(partly(), nows, locks)
def test_nothing_younger_than_the_lock_and_no_newest_is_pruned_early(
    history: list[Generation], now: int, lock: int
) -> None:
    left = {item.id for item in held(pruned_to_the_end(history, now, lock))}
    assert {item.id for item in history if now - item.received_age_seconds < lock} <= left
    parents = {item.previous for item in history}
    assert {item.id for item in history if item.id.digest not in parents} <= left


@given(partly(), nows, locks)
def test_a_whole_generation_of_each_of_twelve_months_is_never_pruned_early(
    history: list[Generation], now: int, lock: int
) -> None:
    since = now - lock - FLOOR_MONTHS * MONTH
    left = pruned_to_the_end(history, now, lock)
    assert months_with_a_whole_one(history, since) == months_with_a_whole_one(left, since)


@given(partly(), nows, locks)
def test_what_thinning_keeps_of_a_month_has_a_whole_one_if_there_was_any(
    history: list[Generation], now: int, lock: int
) -> None:
    """Partial ones never displace it, however many of them come first and last."""
    since = now - lock - FLOOR_MONTHS * MONTH
    assert months_with_a_whole_one(history, since) == months_with_a_whole_one(after(history, now, lock), since)


def test_the_oldest_goes_first_and_then_all_but_one_of_each_month() -> None:
    now = 3 * YEAR
    history = after(line(range(0, now, DAY)), now)
    order = []
    while found := prune_early(history, now, LOCK):
        order.append(next(it.received_age_seconds for it in history if it.id == found.id))
        history = [replace(item, held=item.held and item.id != found.id) for item in history]
    assert order == sorted(order)
    ages = [now - item.received_age_seconds for item in held(history) if now - item.received_age_seconds >= LOCK]
    assert FLOOR_MONTHS <= len(ages) <= FLOOR_MONTHS + 1, "the twelfth month may have begun before"
    assert max(ages) < FLOOR


def test_what_is_young_by_our_own_receipt_is_not_pruned_early() -> None:
    history = after(line(range(0, 2 * YEAR, DAY)), 2 * YEAR)
    first = prune_early(history, 2 * YEAR, LOCK)
    assert first is not None
    second = prune_early(history, 2 * YEAR, LOCK, young={first.id})
    assert second is not None
    assert second.id != first.id


@pytest.mark.long
@pytest.mark.parametrize(("days", "before"), [(90, 10), (180, 7), (360, 1)])
def test_an_origin_that_fills_its_share_for_months_leaves_a_generation_of_each_month_of_a_year(
    days: int, before: int
) -> None:
    """The share is full each day of the attack, so it is pruned early each day. `before`: of how many months before the
    attack a generation is left, at least; there were two years of history."""
    start = 2 * YEAR
    history = after(line(range(0, start, DAY)), start)
    for day in range(days):
        now = start + day * DAY
        history = [*history, replace(line([now], parent=history[-1].id.digest)[0], id=_next(history))]
        left = {it.id for it in prune(history, now, LOCK) if isinstance(it, Keep)}
        history = [replace(item, held=item.held and item.id in left) for item in history]
        found = prune_early(history, now, LOCK)
        assert found is None or isinstance(found, Drop)
        history = [replace(item, held=item.held and (found is None or item.id != found.id)) for item in history]
    assert len({it.received_age_seconds // MONTH for it in held(history) if it.received_age_seconds < start}) >= before
    now = start + days * DAY
    months = {it.received_age_seconds // MONTH for it in held(history) if now - it.received_age_seconds < FLOOR}
    assert len(months) >= FLOOR_MONTHS
    assert sum(now - it.received_age_seconds < LOCK for it in held(history)) >= 29


def _next(history: list[Generation]) -> GenerationId:
    last = history[-1].id
    return line(range(last.sequence + 1))[-1].id
