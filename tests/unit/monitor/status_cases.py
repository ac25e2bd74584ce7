"""The rows of tests/cases/monitor/status.yml, and how a node of such a row is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from appliance.monitor.status import Status, judge
from appliance.monitor.view import AgentSeen
from tests.unit.monitor.views import before, kept, now, view

ROOT = Path(__file__).parents[3]
CASES = yaml.safe_load((ROOT / "tests/cases/monitor/status.yml").read_text("utf-8"))
EVERY_CASE = [pytest.param(case, id=case["name"].replace(" ", "_")) for case in CASES]


def judged(case: dict[str, Any]) -> Status:
    moment = now(case.get("now", ""))
    seen = case.get("agent", {"runs": True, "looked": "10s"})
    looked, measured = (before(moment, seen.get(it, "10s")) for it in ("looked", "measured"))
    agent = AgentSeen(seen["runs"], looked, measured)
    return judge(view(moment, kept(case["given"])), moment, agent)
