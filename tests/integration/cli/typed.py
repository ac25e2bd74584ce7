"""The acts of a person, typed: everything goes through the command line of a real process."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from appliance.config.load import load
from appliance.escrow.age import RecoveryKey
from appliance.host.command import Result, run
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.processes.node import ProcessNode, free_ports
from appliance_lab.processes.territory import ProcessTerritory

ADDRESS = "127.0.0.1"
SERVICE = "docs-a"


@dataclass
class Typed:
    """`desk` is where the key holder sits: territory.yml, the territory key, requests and grants that went by hand."""

    desk: Path
    documents: Path
    paper: RecoveryKey
    nodes: dict[str, ProcessNode] = field(default_factory=dict)

    def __call__(self, name: str, *words: str, code: int = 0, stdin: bytes | None = None) -> Any:
        """Return the answer of `appliance --json WORDS` on the node `name`; it must exit with `code`."""
        return answer_of(self.nodes[name].cli("--json", *words, stdin=stdin, check=False), code)

    def at_desk(self, *words: str, code: int = 0) -> Any:
        """The same for who holds the territory key, on a machine that is no node."""
        environment = {"PYTHONPATH": str(code_folder())}
        argv = (*appliance_argv(), "--json", *words)
        return answer_of(run(argv, timeout_seconds=120, cwd=self.desk, env=environment), code)

    def join(self, *names: str) -> None:
        """Make the nodes, collect their keys and sign; what was signed before keeps its keys."""
        for name in names:
            self(name, "node", "init", name, "--territory-key", str(self.desk / "territory.pub"))
            (self.desk / f"{name}.json").write_bytes(self.nodes[name].cli("internal", "node", "keys").stdout)
        words = [word for name in names for word in ("--keys", f"{name}.json")]
        previous = ("--previous", "bundle") if (self.desk / "bundle").exists() else ()
        recovery = ("--recovery", self.paper.public)
        self.at_desk("territory", "sign", ".", *words, "--key", "territory", *previous, *recovery, "--out", "bundle")

    def grant(self, request: Path) -> Path:
        """Return the key holder's answer to a request."""
        out = request.with_suffix(".grant")
        words = ("--bundle", "bundle", "--key", "territory", "--out", str(out), "--yes")
        self.at_desk("territory", "grant", str(request), *words)
        return out


def type_at(territory: ProcessTerritory, node: str, *words: str, code: int = 0) -> Any:
    """Return the answer of `appliance --json WORDS` on a node of a territory that is ready; it must exit with
    `code`."""
    return answer_of(territory.nodes[node].cli("--json", *words, check=False), code)


def answer_of(result: Result, code: int) -> Any:
    """The JSON of a command that did what was asked (0, 1), else the sentence of its refusal."""
    told = result.stderr.decode()
    assert result.exit_code == code, (result.argv, result.exit_code, result.stdout, told)
    assert "Traceback" not in told
    return json.loads(result.stdout) if code in (0, 1) else result.tail()


def write_plan(desk: Path, documents: Path, operator_key: Path) -> Any:
    """The demo's territory.yml with free ports, this test's documents and this test's operator."""
    plan = yaml.safe_load((code_folder() / "inventory/demo/territory.yml").read_text())
    nodes = [node for site in plan["sites"].values() for node in site["nodes"]]
    for node, port in zip(nodes, free_ports(ADDRESS, len(nodes)), strict=True):
        node.update(address=ADDRESS, port=port)
    plan["services"][SERVICE]["paths"] = [str(documents)]
    public = operator_key.with_name(operator_key.name + ".pub").read_text().split()[:2]
    plan["people"]["maintenance"]["keys"] = [" ".join(public)]
    (desk / "territory.yml").write_text(yaml.safe_dump(plan, allow_unicode=True))
    return load(desk)


def begin(typed: Typed) -> None:
    """Four nodes join, the service begins at commune-a under its first grant, every sshd runs."""
    typed.join("hermitage", "commune-a", "commune-b", "commune-c")
    for name, node in typed.nodes.items():
        assert typed(name, "node", "accept", str(typed.desk / "bundle"))["serial"] == 1
        node.start_sshd()
    request = typed.desk / "first.request"
    typed("commune-a", "backup", "begin", SERVICE, "--out", str(request))
    assert typed("commune-a", "backup", "accept", SERVICE, str(typed.grant(request)))["epoch"] == 2
