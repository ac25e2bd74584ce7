"""The cost of a takeover in a dry run: figures where there are some, else the place that could give them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.backup.still.words import Word
from appliance.cli.failover.takeover_cost import TakeoverCost, saved_at, text_of
from appliance.clock import utc_seconds
from appliance.trust.generation import Header
from appliance.trust.signed import Document


def header(sequence: int, time: str) -> Header:
    raw = Document("appliance/generation", {}, "", f"{sequence}".encode())
    return Header("docs-a", 2, sequence, "", time, "", 1, 1, raw)


CLEAN, NEWEST = header(7, "2026-11-20T08:00:00Z"), header(9, "2026-11-26T08:00:00Z")
KNOWN = TakeoverCost("docs-a", "2026-11-26T08:00:00Z", 2100, "2026-11-20T02:00:00Z", 143, 15)


@pytest.mark.parametrize(
    ("it", "sentences"),
    [
        (
            KNOWN,
            (
                "docs-a: loses what was written since 2026-11-26T08:00:00Z, 35 min ago (RPO).",
                "about 2 min 23 s, by the drill here of 2026-11-20T02:00:00Z (RTO).",
            ),
        ),
        (
            replace(KNOWN, drilled="", rto_seconds=None),
            ("How long that takes was never measured here (RTO)", "backup drill docs-a --all"),
        ),
        (
            replace(KNOWN, saved="", rpo_seconds=None, why="commune-b: it did not answer."),
            ("an unknown amount, since no node that answered holds a generation (RPO). commune-b: it did not answer.",),
        ),
        (
            replace(KNOWN, saved="", rpo_seconds=None, generation=CLEAN.id.name),
            (f"written since generation {CLEAN.id.name}, and no node that answered knows when that was (RPO).",),
        ),
    ],
)
def test_it_says_what_is_lost_and_for_how_long_clients_wait(it: TakeoverCost, sentences: tuple[str, ...]) -> None:
    text = text_of(it)
    for sentence in sentences:
        assert sentence in text


def test_what_is_lost_is_counted_from_the_generation_that_the_act_names() -> None:
    assert saved_at((CLEAN, NEWEST), CLEAN.id.name) == CLEAN.time
    assert saved_at((CLEAN, NEWEST), "") == NEWEST.time
    assert saved_at((NEWEST,), CLEAN.id.name) == "", "the time of another would be a wrong loss"


def test_nothing_is_lost_until_when_one_node_knows_that_nothing_changed() -> None:
    later, latest = "2026-11-26T09:00:00Z", "2026-11-26T09:15:00Z"
    words = [Word("hermitage", NEWEST.id, utc_seconds(it), 0.0, 0) for it in (later, latest)]
    assert saved_at((CLEAN, NEWEST), "", words) == latest
    assert saved_at((CLEAN, NEWEST), CLEAN.id.name, words) == CLEAN.time
