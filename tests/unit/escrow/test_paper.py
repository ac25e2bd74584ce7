"""The recovery sheet, as text."""

from __future__ import annotations

import re
from pathlib import Path

from appliance.escrow import paper, paper_key, qr
from appliance.escrow.age import RecoveryKey
from appliance.secret import Secret

KEY = RecoveryKey(
    Secret(b"AGE-SECRET-KEY-1KS62GLQJCHV3CX2DKJ9NU5DE49HYF2HVU38WY76N0WGYVVM00ZSSG0ADTT"),
    "age1cts44qgqcrnx8anhhy2jxvhpk0x0ypa9mxqp7agc8n68xe865snqpys4ch",
)
TERRITORY_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"
SHEET = paper.Sheet("Les Lisières", "2026-11-25", KEY, TERRITORY_KEY)


def test_the_text_sheet_says_all_and_fits_an_a4_page_in_typewriter_letters() -> None:
    text = paper.text(SHEET)
    for number, line in enumerate(paper_key.lines(KEY.secret), start=1):
        assert f"{number}   {line}\n" in text
    for word in (
        "Les Lisières",
        "2026-11-25",
        KEY.public,
        TERRITORY_KEY,
        "SHA256:TGIk2D1DFZBKmjWssB2+Qdiona/OUK1TSuWAAHMK",
    ):
        assert word in text
    assert max(len(line) for line in text.splitlines()) <= 82


def test_french_comes_first() -> None:
    text = paper.text(SHEET)
    assert text.index("Ce que c'est") < text.index("What this is")


def test_a_command_stays_on_one_line_and_can_be_copied() -> None:
    text = paper.text(SHEET)
    assert text.count('"age -d -i - recovery.age"') == 2
    assert paper.NO_BREAK not in text


def test_a_sheet_without_territory_key_says_nothing_of_it() -> None:
    assert "Territory key" not in paper.text(paper.Sheet("Les Lisières", "2026-11-25", KEY))


def test_the_recovery_document_named_on_the_sheet_exists() -> None:
    name = re.search(r'"(docs/\S+\.md)"', paper.text(SHEET))
    assert name
    assert (Path(__file__).parents[3] / name[1]).is_file()


def test_a_code_as_text_has_the_modules_of_its_grid() -> None:
    grid = qr.grid("AGE-SECRET-KEY-1")
    lines = qr.text(grid)
    upper = [[letter in "▀█" for letter in line] for line in lines]
    lower = [[letter in "▄█" for letter in line] for line in lines]
    rows = [tuple(row) for pair in zip(upper, lower, strict=True) for row in pair]
    assert rows[: len(grid)] == list(grid)
    assert not any(any(row) for row in rows[len(grid) :])
    assert not any(any(row) for row in (*grid[:4], *grid[-4:]))
