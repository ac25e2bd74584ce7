"""The cost of an agent at rest is measured at rest: a window in which one began to work says nothing of it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.errors import ApplianceError
from appliance.host.journal import Journal
from appliance_lab.bench.bench import Bench, Size
from appliance_lab.bench.resting import undisturbed
from appliance_lab.processes.node import ProcessNode


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ProcessNode]:
    """A node whose exporter and agent are processes that do nothing at all."""
    made = ProcessNode("commune-a", tmp_path, "127.0.0.1", 0)
    with subprocess.Popen(["sleep", "60"]) as exporter, subprocess.Popen(["sleep", "60"]) as agent:
        made.processes += [exporter, agent]
        yield made
        agent.kill()
        exporter.kill()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, Size(runs=1, rest_seconds=0.01, settled_seconds=0.0), lambda _: None)


def begins(node: ProcessNode, times: int) -> Callable[[float], None]:
    """A sleep during which work begins, for so many times."""
    journal, slept = Journal(node.layout.journal, SystemClock()), iter(range(times))

    def sleep(_seconds: float) -> None:
        if next(slept, None) is not None:
            journal.write("work-begun", kind="scrub", service="docs-a", reason="it is time")

    return sleep


@pytest.mark.parametrize("times", [0, 1, 3])
def test_a_window_in_which_work_began_is_measured_again_and_counted(
    times: int, node: ProcessNode, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", begins(node, times))
    window = undisturbed(bench, (node,))
    assert (window.repeated, window.load_percent) == (times, 0.0)
    assert window.memory_mib > 0


def test_agents_that_never_rest_have_no_figure(
    node: ProcessNode, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", begins(node, 100))
    with pytest.raises(ApplianceError, match="no agent was ever at rest"):
        undisturbed(bench, (node,))
