"""Agents that look three times a second; when a test fails, what each node's agent and journal said is shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.cli.internal.agent import EVERY_VARIABLE
from appliance.escrow import age
from appliance_lab.processes.territory import ProcessTerritory


@pytest.fixture
def recovery() -> str:
    return age.generate().public


@pytest.fixture(autouse=True)
def told(territory: ProcessTerritory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(EVERY_VARIABLE, "0.3")
    yield
    for node in territory.nodes.values():
        for path in (node.layout.run / "agent.log", node.layout.journal):
            if path.exists():
                print(f"== {path}\n{path.read_text()}")
