"""What a person does, typed: everything goes through the command line of a real process."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from appliance.config.load import load
from appliance.escrow.age import RecoveryKey
from appliance.host.command import Result, run
from appliance.lab.processes.node import ProcessNode, appliance_argv, code_folder, free_ports

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
        """What `appliance --json WORDS` answers on the node `name`; it must end with `code`."""
        result = self.nodes[name].cli("--json", *words, stdin=stdin, check=False)
        assert result.exit_code == code, (words, result.exit_code, result.stdout, result.stderr.decode())
        assert b"Traceback" not in result.stderr
        return json.loads(result.stdout) if code in (0, 1) else result.tail()

    def at_desk(self, *words: str, code: int = 0) -> Any:
        """The same for who holds the territory key, on a machine that is no node."""
        result = at_desk(self.desk, "--json", *words)
        assert result.exit_code == code, (words, result.exit_code, result.stdout, result.stderr.decode())
        return json.loads(result.stdout) if code in (0, 1) else result.tail()

    def join(self, *names: str) -> None:
        """Make the nodes, collect their keys and sign; what was signed before keeps its keys."""
        for name in names:
            self(name, "node", "init", name, "--territory-key", str(self.desk / "territory.pub"))
            (self.desk / f"{name}.json").write_bytes(self.nodes[name].cli("node", "keys").stdout)
        words = [word for name in names for word in ("--keys", f"{name}.json")]
        previous = ("--previous", "bundle") if (self.desk / "bundle").exists() else ()
        recovery = ("--recovery", self.paper.public)
        self.at_desk("territory", "sign", ".", *words, "--key", "territory", *previous, *recovery, "--out", "bundle")

    def grant(self, request: Path) -> Path:
        """What the key holder answers to a request."""
        out = request.with_suffix(".grant")
        words = ("--bundle", "bundle", "--key", "territory", "--out", str(out), "--yes")
        self.at_desk("territory", "grant", str(request), *words)
        return out


def at_desk(desk: Path, *words: str) -> Result:
    environment = {"PYTHONPATH": str(code_folder())}
    return run((*appliance_argv(), *words), timeout_seconds=120, cwd=desk, env=environment)


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
