"""The vault's memory of a day and of epochs: lost or damaged it starts anew, and never with more room than before."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.backup.vault import ledger
from appliance.backup.vault.ledger import Ledger
from appliance.backup.vault.limits import Amount


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    book = Ledger().on_day(4).with_taken(10, seeding=True).with_taken(5, seeding=False).with_epoch(2, Amount(7, 3, 1))
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
    book = Ledger().on_day(4).with_taken(10, seeding=False)
    assert book.on_day(4).taken(False) == 10
    assert book.on_day(5).taken(False) == 0
    assert book.on_day(0).taken(False) == 0, "else nothing were taken until the clock is as old again"


def test_an_epoch_keeps_the_base_it_began_with() -> None:
    book = Ledger().with_epoch(2, Amount(100)).with_epoch(2, Amount(900))
    assert book.base_of(2) == Amount(100)
    assert book.base_of(4) == Amount(), "unknown: the lowest ceiling"
