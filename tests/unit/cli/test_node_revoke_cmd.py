"""The message of `appliance node revoke` before it signs: what starts over, and what counts as read."""

from __future__ import annotations

from appliance.cli.node.revoke import _text
from appliance.membership.revoke import Renewal

RENEWAL = Renewal("docs-a", "commune-a", ("commune-b",), 10**9, 3600.0, 1_800_000_000.0, 1_900_000_000.0)


def test_all_that_a_stolen_box_could_open_counts_as_read() -> None:
    told = _text("hermitage", [RENEWAL])
    assert "Treat what hermitage could open as read" in told
    assert "disk encryption does not stop somebody who has the whole machine, switched on or off." in told


def test_nothing_counts_as_read_where_the_box_could_open_nothing() -> None:
    assert _text("commune-b", []) == "commune-b could open no service: none starts over."
