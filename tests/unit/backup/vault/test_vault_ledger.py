"""The vault's memory of a day and of epochs: lost or damaged it starts over, and never with more room than before."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.backup.vault import ledger
from appliance.backup.vault.ledger import Ledger
from appliance.backup.vault.limits import Amount

DAILY = 100


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    book = Ledger().on_day(4, 9, 30).on_day(6, 9, 30).with_taken(10, seeding=True).with_taken(5, seeding=False)
    book = book.with_epoch(2, Amount(7, 3, 1))
    ledger.save(tmp_path / "ledger.json", book)
    assert ledger.load(tmp_path / "ledger.json") == book


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"day": "monday", "ingested": 0, "seeded": 0, "bases": {}}',
        b'{"day": 1, "ingested": 0, "seeded": 0, "bases": {"2": 5}}',
        b'{"day": 1, "ingested": 0, "seeded": 0, "bases": {"2": {"kilos": 5}}}',
        b'{"day": 1}',
        b"\xff\xfe",
    ],
)
def test_a_damaged_ledger_starts_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.json"
    path.write_bytes(content)
    assert ledger.load(path) == Ledger()


def test_a_new_day_starts_at_nothing_and_so_does_a_lost_ageing_clock() -> None:
    book = Ledger().on_day(4, DAILY, 30).with_taken(10, seeding=False)
    assert book.on_day(4, DAILY, 30).taken(False) == 10
    assert book.on_day(5, DAILY, 30).taken(False) == 0
    lost = book.on_day(0, DAILY, 30)
    assert (lost.taken(False), lost.carried) == (0, 0), "else nothing were taken until the clock is as old again"


def test_a_ledger_that_was_lost_carries_nothing_over() -> None:
    assert Ledger().on_day(900, DAILY, 30).carried == 0


@pytest.mark.parametrize(("days", "carried"), [(1, 0), (2, 1), (8, 7), (29, 28), (30, 29), (31, 29), (900, 29)])
def test_days_since_the_last_receipt_add_up_to_the_lock_at_most(days: int, carried: int) -> None:
    book = Ledger().on_day(4, DAILY, 30).with_taken(30, seeding=False).with_receipt()
    assert book.on_day(4 + days, DAILY, 30).carried == carried * DAILY


def test_a_receipt_ends_what_was_carried_and_earlier_days_are_used_first() -> None:
    book = Ledger(day=4).on_day(12, DAILY, 30).with_taken(8 * DAILY // 5, seeding=False).with_receipt()
    assert (book.carried, book.ingested) == (0, 0), "the day has its own allowance still"
    assert book.on_day(13, DAILY, 30).carried == 0


def test_a_push_in_parts_takes_a_day_more_each_day() -> None:
    book = Ledger(day=4).on_day(5, DAILY, 30)
    for day in range(5, 60):
        book = book.on_day(day, DAILY, 30)
        assert book.carried == 0
        book = book.with_taken(DAILY, seeding=False)
    lowered = book.on_day(60, DAILY // 5, 30)
    assert lowered.carried == 0, "what an act let in is no debt after its end"


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.floats(0, 1), st.booleans()),
        min_size=1,
        max_size=60,
    )
)
def test_no_writer_brings_more_than_a_day_for_each_day(life: list[tuple[int, float, bool]]) -> None:
    """However pushes, parts and receipts follow each other: no more than `daily` for each day that was, and in one day
    no more than for the days of the lock."""
    book, day, total = Ledger(day=0), 0, 0
    for days, share, is_receipt in life:
        day += days
        book = book.on_day(day, DAILY, 30)
        allowed = DAILY + book.carried - book.ingested
        assert 0 <= allowed <= 30 * DAILY
        total += (taken := int(share * allowed))
        book = book.with_taken(taken, seeding=False)
        book = book.with_receipt() if is_receipt else book
        assert total <= DAILY * (day + 1)


def test_an_epoch_keeps_the_base_it_began_with() -> None:
    book = Ledger().with_epoch(2, Amount(100)).with_epoch(2, Amount(900))
    assert book.base_of(2) == Amount(100)
    assert book.base_of(4) == Amount(), "unknown: the lowest ceiling"
