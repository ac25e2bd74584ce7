"""What a dry run of a takeover says that it costs: figures where there are some, else who could give them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.cli.failover_stake import Stake, text_of

KNOWN = Stake("docs-a", "2026-11-26T08:00:00Z", 2100, "2026-11-20T02:00:00Z", 143, 15)


@pytest.mark.parametrize(
    ("it", "sentences"),
    [
        (
            KNOWN,
            (
                "docs-a: lost is what was written since 2026-11-26T08:00:00Z, 35 min ago (RPO).",
                "about 2 min 23 s, by the drill here of 2026-11-20T02:00:00Z (RTO).",
            ),
        ),
        (
            replace(KNOWN, drilled="", rto_seconds=None),
            ("How long that takes was never measured here (RTO)", "backup drill docs-a --all"),
        ),
        (
            replace(KNOWN, saved="", rpo_seconds=None, why="commune-b: it did not answer."),
            ("cannot be told, since nobody who answered holds a generation (RPO). commune-b: it did not answer.",),
        ),
    ],
)
def test_it_says_what_is_lost_and_for_how_long_clients_wait(it: Stake, sentences: tuple[str, ...]) -> None:
    text = text_of(it)
    for sentence in sentences:
        assert sentence in text
