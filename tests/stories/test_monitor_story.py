"""A sample of `make story-monitor`: each alert fires, is told once and clears, and a false success is caught."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance_lab.stories.monitor import STEPS, play

SAMPLE = (
    "everything is well",
    "a false success is caught",
    "an agent stops",
    "terminal and Prometheus agree",
    "page and terminal agree",
    "a node that is switched off shows on the page",
)
SECONDS_MAX = 420


def played(folder: Path, steps: tuple[str, ...]) -> None:
    story = play("", Path(), folder / "monitor.json", print, keep=False, steps=steps)
    report = json.loads((folder / "monitor.json").read_text())
    assert [step for step in report["steps"] if step["verdict"] != "held"] == []
    assert ([step["name"] for step in report["steps"]], story.exit_code) == (list(steps), 0)
    assert sorted(path.name for path in folder.iterdir()) == ["monitor.html", "monitor.json"]


@pytest.mark.timeout(SECONDS_MAX)
def test_a_false_success_and_a_silent_agent_are_told_once_each(tmp_path: Path) -> None:
    played(tmp_path, SAMPLE)


@pytest.mark.slow
@pytest.mark.timeout(3 * SECONDS_MAX)
def test_every_step_of_the_story_holds(tmp_path: Path) -> None:
    played(tmp_path, tuple(STEPS))
