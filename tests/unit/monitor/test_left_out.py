"""Each measure that was asked for is told, or a page says why it is not."""

from __future__ import annotations

import re
from pathlib import Path

from appliance.monitor.metrics import METRICS

ROOT = Path(__file__).parents[3]


def test_what_was_asked_for_is_told_or_left_out_for_a_reason() -> None:
    asked = set((ROOT / "tests/cases/monitor/asked_metrics.txt").read_text().split())
    page = (ROOT / "docs/reference/metrics-left-out.md").read_text()
    left_out = dict(re.findall(r"^\| `(appliance_\w+)` \| (.+) \|$", page, re.MULTILINE))
    assert set(left_out) == asked - {it.full_name for it in METRICS}
