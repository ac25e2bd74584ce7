"""What `make story-failover` shows must hold between plain processes: it takes some minutes, so
`make soak SUITE=story_of_failover` runs it. Its steps on hosts are files of tests, and are not run twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance_lab.stories.failover import ON_HOSTS, play
from appliance_lab.stories.tested import TESTS
from tests.pace import PACE

ROOT = Path(__file__).parents[2]
SECONDS_MAX = PACE * 900


def test_every_file_that_moves_services_between_hosts_is_a_step_of_it() -> None:
    steps = {ROOT / TESTS / file for step in ON_HOSTS for file in step.files}
    moving = {file for file in (ROOT / TESTS / "lab").glob("test_*.py") if "pytest.mark.moves" in file.read_text()}
    assert steps == moving


@pytest.mark.slow
@pytest.mark.timeout(SECONDS_MAX)
def test_every_step_of_the_story_of_failover_holds(tmp_path: Path) -> None:
    story = play("story", ROOT / "inventory/demo", tmp_path / "failover.json", print, keep=False, on_hosts=())
    assert [step for step in story.steps if step.verdict != "held"] == []
    assert story.exit_code == 0
