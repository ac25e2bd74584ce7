"""The line that a restore says to type next opens the same as the line that was typed."""

from __future__ import annotations

import pytest

from appliance.cli.restore.options import typed_source


@pytest.mark.parametrize(
    ("source", "paper", "words"),
    [
        ("auto", False, ()),
        ("generation:2.7", False, ("--from", "generation:2.7")),
        ("auto", True, ("--recovery-sheet",)),
        ("peer:commune-b", True, ("--from", "peer:commune-b", "--recovery-sheet")),
    ],
)
def test_the_source_and_the_paper_are_typed_again(source: str, paper: bool, words: tuple[str, ...]) -> None:
    assert typed_source(source, paper=paper) == words
