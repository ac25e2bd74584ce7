"""`appliance status` where a node is damaged or runs by hand: a sentence, and what to type here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.host.layout import NodeLayout
from appliance_lab.processes.territory import ProcessTerritory
from tests.worlds.demo import signed_territory


@pytest.fixture
def made(tmp_path: Path) -> ProcessTerritory:
    return signed_territory(tmp_path / "made")


@pytest.fixture
def node(made: ProcessTerritory) -> NodeLayout:
    return made.nodes["commune-a"].layout


def told(state: Path | str, capsys: pytest.CaptureFixture[str], verb: str = "status") -> str:
    assert main.run(["--state", str(state), verb]) == 4
    return capsys.readouterr().out


def test_in_process_mode_the_agent_is_started_by_its_command(
    node: NodeLayout, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(node.root.parent)
    shown = told("commune-a", capsys)
    assert f"Type `appliance --state {node.root} internal agent`." in shown
    assert "systemctl" not in shown


def test_missing_keys_are_a_failure_with_its_remedy(node: NodeLayout, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(node.keys)
    shown = told(node.root, capsys)
    assert "failed: its keys are missing (sign_ed25519, ssh_ed25519, host_ed25519, age)" in shown
    assert "in an empty folder: `appliance node init NAME --territory-key territory.pub`" in shown


@pytest.mark.parametrize("verb", ["status", "doctor"])
def test_what_to_type_is_about_the_same_node(
    made: ProcessTerritory, node: NodeLayout, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    shown = told(node.root, capsys, verb)
    assert f"Type `appliance --state {node.root} backup begin docs-a --out docs-a.request`." in shown
    assert "types `appliance territory grant docs-a.request" in shown
    assert f"Then here: `appliance --state {node.root} backup accept docs-a docs-a.grant`." in shown
    assert "See `appliance status` at its origin." in told(made.nodes["hermitage"].layout.root, capsys, verb)


def test_what_cannot_be_read_is_named_without_python(node: NodeLayout, capsys: pytest.CaptureFixture[str]) -> None:
    chain = node.service("docs-a").chain
    chain.mkdir(parents=True)
    (chain / "grants").write_text("a file where a folder should be")
    shown = told(node.root, capsys)
    assert f"cannot be read: {chain}" in shown
    assert "Error(" not in shown
