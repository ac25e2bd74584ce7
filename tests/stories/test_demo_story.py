"""The main job, end to end on real parts: what `make demo` shows must hold whenever the suite runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 280


@pytest.mark.timeout(SECONDS_MAX + 10)
def test_every_step_of_the_demo_holds(tmp_path: Path) -> None:
    command = [ROOT / "bin/appliance", "demo", "--work", tmp_path / "demo"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX)
    report = json.loads((tmp_path / "demo/report.json").read_text())
    assert [step for step in report["steps"] if step["verdict"] != "held"] == [], ended.stderr
    assert (report["verdict"], ended.returncode) == ("held", 0)
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["report.html", "report.json"]
