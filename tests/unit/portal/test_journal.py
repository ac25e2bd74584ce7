"""The chained journal: whatever is changed, taken out, put in or cut off shows; a cut line is nobody's."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.clock import SimulatedClock
from appliance.errors import IntegrityError, UsageError
from appliance.portal.base.forms import PATH_MAX
from appliance.portal.base.journal import LINE_BYTES_MAX, NOTHING, ChainedJournal, Verified

type Lines = list[bytes]


@pytest.fixture
def journal(tmp_path: Path) -> ChainedJournal:
    made = ChainedJournal(tmp_path / "portal/journal.jsonl", SimulatedClock())
    for term in ("budget", "permis", "facture \udcff"):
        made.write("searched", account="marie", term=term)
    return made


def test_a_whole_chain_is_verified_to_its_head(journal: ChainedJournal) -> None:
    found = journal.verify()
    assert found.lines == 3
    assert journal.verify(found.head) == found
    first, _, last = journal.entries()
    assert (first["previous"], last["term"]) == (NOTHING, "facture \udcff")
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600


def test_a_journal_that_nobody_began_is_whole(tmp_path: Path) -> None:
    assert ChainedJournal(tmp_path / "none", SimulatedClock()).verify() == Verified(0, NOTHING)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: [lines[0].replace(b"budget", b"autre"), *lines[1:]], 2),
        (lambda lines: [lines[0], lines[2]], 2),
        (lambda lines: [lines[0], lines[0], *lines[1:]], 2),
        (lambda lines: [lines[1], lines[0], lines[2]], 1),
        (lambda lines: [*lines, b"no json\n"], 4),
        (lambda lines: [*lines, b"[]\n"], 4),
    ],
    ids=["changed", "taken out", "put in", "turned round", "no line of ours", "no entry"],
)
def test_what_was_done_to_it_shows(journal: ChainedJournal, change: Callable[[Lines], Lines], line: int) -> None:
    journal.path.write_bytes(b"".join(change(journal.path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(IntegrityError, match="does not follow the one before") as caught:
        journal.verify()
    assert caught.value.where == f"{journal.path}:{line}"


def test_what_was_cut_off_shows_to_whoever_noted_the_head(journal: ChainedJournal) -> None:
    head = journal.verify().head
    journal.path.write_bytes(b"".join(journal.path.read_bytes().splitlines(keepends=True)[:2]))
    assert journal.verify().lines == 2
    with pytest.raises(IntegrityError, match="the journal was cut or rewritten"):
        journal.verify(head)


def test_half_a_line_that_a_power_cut_left_goes_and_the_chain_goes_on(journal: ChainedJournal) -> None:
    with open(journal.path, "ab") as file:
        file.write(b'{"time": "2026')
    journal.write("signed-out", account="marie")
    assert journal.verify().lines == 4


def test_an_entry_that_is_too_long_is_told_over_several_lines_and_nothing_of_it_is_lost(
    journal: ChainedJournal,
) -> None:
    paths = tuple(f"{number}{chr(0xDCFF) * PATH_MAX}"[:PATH_MAX] for number in range(20))
    journal.write(
        "asked", account="marie", address="192.0.2.7", order="0f", kind="folder", archive="monday", paths=paths
    )
    lines = journal.path.read_bytes().splitlines(keepends=True)[3:]
    told = [json.loads(line) for line in lines]
    assert max(map(len, lines)) <= LINE_BYTES_MAX
    assert tuple(path for it in told for path in it["paths"]) == paths
    assert [(it["part"], it["parts"]) for it in told] == [(number + 1, len(told)) for number in range(len(told))]
    same = {"account": "marie", "address": "192.0.2.7", "order": "0f", "kind": "folder", "archive": "monday"}
    assert all(same.items() <= it.items() for it in told)
    assert journal.verify().lines == 3 + len(told)
    journal.write("signed-out", account="marie")
    assert journal.verify().lines == 4 + len(told)


def test_what_no_line_can_hold_is_refused_and_leaves_the_journal_as_it_was(journal: ChainedJournal) -> None:
    before = journal.path.read_bytes()
    with pytest.raises(UsageError, match="too long for the journal"):
        journal.write("asked", account="marie", paths=["x" * 40_000])
    assert journal.path.read_bytes() == before
