"""What `make story-failover` shows must hold: it takes some minutes, so `make soak SUITE=story_of_failover` runs it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.pace import PACE

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 900
STORY = (ROOT / "bin/appliance", "lab", "story", "failover")


@pytest.mark.slow
@pytest.mark.timeout(SECONDS_MAX + 60)
def test_every_step_of_the_story_of_failover_holds(tmp_path: Path) -> None:
    command = [*STORY, "--out", tmp_path, "--inventory", ROOT / "inventory/demo"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PACE * SECONDS_MAX)
    report = json.loads((tmp_path / "failover.json").read_text())
    assert [step for step in report["steps"] if step["verdict"] != "held"] == [], ended.stderr[-3000:]
    assert (report["verdict"], ended.returncode) == ("held", 0)
