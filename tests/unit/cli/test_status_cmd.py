"""`appliance status` where a node is damaged or runs by hand: a sentence, and what to type here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.config.load import load
from appliance.host.layout import NodeLayout
from appliance.lab.processes.territory import ProcessTerritory

INVENTORY = Path(__file__).parents[3] / "inventory/demo"


@pytest.fixture
def node(tmp_path: Path) -> NodeLayout:
    made = ProcessTerritory(tmp_path / "made", load(INVENTORY))
    made.create()
    made.sign()
    return made.nodes["commune-a"].layout


def told(state: Path | str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main.run(["--state", str(state), "status"]) == 4
    return capsys.readouterr().out


def test_in_process_mode_the_agent_is_started_by_its_command(
    node: NodeLayout, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(node.root.parent)
    shown = told("commune-a", capsys)
    assert f"Type `appliance --state {node.root} agent`." in shown
    assert "systemctl" not in shown


def test_missing_keys_are_a_failure_with_its_remedy(node: NodeLayout, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(node.keys)
    shown = told(node.root, capsys)
    assert "failed: its keys are missing (sign_ed25519, ssh_ed25519, host_ed25519, age)" in shown
    assert "`appliance node init`" in shown


def test_what_cannot_be_read_is_named_without_python(node: NodeLayout, capsys: pytest.CaptureFixture[str]) -> None:
    chain = node.service("docs-a").chain
    chain.mkdir(parents=True)
    (chain / "grants").write_text("a file where a folder should be")
    shown = told(node.root, capsys)
    assert f"cannot be read: {chain}" in shown
    assert "Error(" not in shown
