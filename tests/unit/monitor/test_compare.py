"""The question of an upgrade to a node: is anything worse than it was?"""

from __future__ import annotations

import pytest

from appliance.monitor.compare import worse
from appliance.monitor.states import Judged, Reason, State
from appliance.monitor.status import Status


def judged(subject: str, role: str, state: State, **facts: object) -> Judged:
    return Judged(subject, role, "", () if state == "ok" else (Reason(state, "it is so."),), facts)


@pytest.mark.parametrize(
    ("was", "now", "is_worse"),
    [
        ("ok", "ok", False),
        ("ok", "warning", True),
        ("warning", "unknown", True),
        ("unknown", "failed", True),
        ("failed", "failed", False),
        ("failed", "warning", False),
        (None, "warning", True),
        (None, "ok", False),
    ],
)
def test_a_service_is_compared_with_what_it_was(was: State | None, now: State, is_worse: bool) -> None:
    before: dict[tuple[str, str], State] = {("docs-a", "written"): was} if was else {}
    before[("docs-a", "held")] = "failed"
    found = worse(before, Status("commune-a", (judged("docs-a", "written", now),)))
    assert [(it.judged.subject, it.before) for it in found] == ([("docs-a", was or "ok")] if is_worse else [])


def test_a_node_whose_agent_does_not_run_is_worse_whatever_it_was() -> None:
    now = Status("commune-a", (judged("commune-a", "node", "failed", agent_running=False),))
    assert [it.before for it in worse({("commune-a", "node"): "failed"}, now)] == ["failed"]
