"""Whoever reads the portal's journal later knows who looked for what, and what was brought back where."""

from __future__ import annotations

import json

import pytest

from appliance.restore import events
from appliance.restore.order import Order, State, Status

ORDER = Order("0" * 32, "marie", "docs", "beside", "monday", 1.0, ("srv/shares/docs/a\udcff",), "srv/shares/docs", 2.0)


def test_each_event_says_who_what_and_where() -> None:
    found = [
        events.searched("marie", ["docs-b", "docs-a"], "budget", 3),
        events.listed("marie", "docs", "folder", "srv/shares/docs"),
        events.viewed("marie", "docs", "srv/shares/docs/a", "monday"),
        events.ordered(ORDER),
        events.downloaded(ORDER, "paul"),
    ]
    assert [it.fields()["event"] for it in found] == ["searched", "listed", "viewed", "ordered", "downloaded"]
    assert [it.fields()["person"] for it in found] == ["marie"] * 4 + ["paul"]
    assert found[0].fields()["services"] == ("docs-a", "docs-b")
    assert found[3].fields()["paths"] == ORDER.paths
    assert all(json.loads(json.dumps(it.fields()))["event"] for it in found)


@pytest.mark.parametrize(
    ("state", "act"), [("ready", "restored"), ("failed", "failed"), ("undone", "undone"), ("expired", "restored")]
)
def test_how_an_order_ended_is_an_event(state: State, act: str) -> None:
    event = events.ended(ORDER, Status(state=state, job="j", entries=4, size=5, cause="NoSpace"))
    assert (event.act, event.details["job"], event.details["entries"]) == (act, "j", 4)
    assert ("cause" in event.details) == (state == "failed")
