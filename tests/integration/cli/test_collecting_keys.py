"""The control machine collects public keys: from machines that were met, at once, and a silent one stops nobody."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.cli.node.collect import ASK
from appliance.config.collected import read_collected
from appliance.host.command import Result, run
from appliance.host.network.ssh import authorized_keys_line
from appliance.trust.keys import create_key
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.processes.node import ProcessNode, free_ports

CASE = Path(__file__).parents[2] / "cases" / "hosts" / "territory.yml"
ADDRESS = "127.0.0.1"
PLACES = {"hermitage": "10.77.0.10", "commune-a": "10.77.1.10", "commune-b": "10.77.2.10", "commune-c": "10.77.3.10"}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Path]:
    """commune-a and commune-b answer, commune-c is off, hermitage was never met; commune-b has another host key."""
    if os.geteuid() != 0:
        pytest.skip("a server that lets root in needs root")
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    folder = tmp_path / "desk"
    folder.mkdir()
    create_key(folder / "territory")
    create_key(folder / "operator")
    ports = dict(zip(PLACES, free_ports(ADDRESS, len(PLACES)), strict=True))
    text = CASE.read_text("utf-8")
    for name, address in PLACES.items():
        text = text.replace(f"address: {address}, port: 22", f"address: {ADDRESS}, port: {ports[name]}")
    (folder / "territory.yml").write_text(text, "utf-8")
    nodes = [_node(folder, tmp_path / name, name, ports[name]) for name in ("commune-a", "commune-b")]
    keys = {node.name: _line(node.layout.keys / "host_ed25519.pub") for node in nodes}
    known = {"commune-a": keys["commune-a"], "commune-b": keys["commune-a"], "commune-c": keys["commune-a"]}
    (folder / "known_hosts").write_text("".join(f"{name} {key}\n" for name, key in known.items()))
    yield folder
    for node in nodes:
        node.kill()


def _node(desk: Path, state: Path, name: str, port: int) -> ProcessNode:
    """A node whose root can do nothing but answer ASK."""
    node = ProcessNode(name, state, ADDRESS, port)
    node.cli("node", "init", name, "--territory-key", str(desk / "territory.pub"))
    node.layout.run.mkdir(exist_ok=True)
    words = ("env", f"PYTHONPATH={code_folder()}", *appliance_argv(), "--state", str(state), *ASK.split()[1:])
    line = authorized_keys_line(_line(desk / "operator.pub"), words, "operator")
    (node.layout.run / "authorized_keys").write_text(line)
    node.start_sshd()
    return node


def _line(file: Path) -> str:
    return " ".join(file.read_text().split()[:2])


def collect(desk: Path, *names: str) -> Result:
    argv = (*appliance_argv(), "--json", "node", "collect", *names, "--territory", str(desk))
    words = ("--identity", str(desk / "operator"))
    return run((*argv, *words), timeout_seconds=60, env={"PYTHONPATH": str(code_folder()), "HOME": str(desk)})


def test_who_answers_is_kept_and_of_the_others_is_said_why(desk: Path) -> None:
    result = collect(desk)
    shown = json.loads(result.stdout)
    assert result.exit_code == 1
    assert shown["collected"] == {"commune-a": str(desk / "keys" / "commune-a.json")}
    assert set(shown["failed"]) == {"hermitage", "commune-b", "commune-c"}
    assert "never recorded" in shown["failed"]["hermitage"]
    assert "host key is not the recorded one" in shown["failed"]["commune-b"]
    assert "no answer" in shown["failed"]["commune-c"]


def test_a_dry_run_says_who_would_be_asked_and_keeps_nothing(desk: Path) -> None:
    result = collect(desk, "--dry-run")
    shown = json.loads(result.stdout)
    assert result.exit_code == 1
    assert set(shown["would_ask"]) == {"commune-a", "commune-b", "commune-c"}
    assert shown["never_met"] == ["hermitage"]
    assert not (desk / "keys").exists()
    assert collect(desk, "--dry-run", "commune-a").exit_code == 0


def test_what_is_kept_can_be_signed(desk: Path) -> None:
    before = time.time()
    assert collect(desk, "commune-a").exit_code == 0
    kept = read_collected((desk / "keys" / "commune-a.json").read_bytes(), name="kept")
    assert kept["commune-a"].user == "vault-"
    assert before <= (kept["commune-a"].brought or 0) + 1 <= time.time() + 1, "by our own clock"


def test_a_machine_that_says_it_is_another_node_is_not_kept(desk: Path) -> None:
    file = desk / "territory.yml"
    text = (
        file.read_text("utf-8").replace("name: commune-a,", "name: @,").replace("name: commune-b,", "name: commune-a,")
    )
    file.write_text(text.replace("name: @,", "name: commune-b,"), "utf-8")
    host_key = _line(desk.parent / "commune-b" / "keys" / "host_ed25519.pub")
    (desk / "known_hosts").write_text(f"commune-a {host_key}\n")
    result = collect(desk, "commune-a")
    assert "identifies itself as commune-b" in json.loads(result.stdout)["failed"]["commune-a"]
    assert not (desk / "keys").exists()
