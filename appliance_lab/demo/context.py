"""The stage of the demo: four sites as plain processes, the documents of commune A, and what lies in a safe."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from appliance.config.load import load
from appliance.escrow.age import RecoveryKey
from appliance.escrow.ceremony import ceremony
from appliance.host.command import run
from appliance.host.files import make_private_folder
from appliance.secret import Secret
from appliance.trust.keys import load_key, public_line
from appliance.units import MIB
from appliance_lab.checkers.tree_record import Record
from appliance_lab.checkout import inventories
from appliance_lab.demo.search import Needles
from appliance_lab.processes.node import ProcessNode, free_ports
from appliance_lab.processes.territory import ProcessTerritory, on_ports
from appliance_lab.story import Unknown, Violated

SERVICE = "docs-a"
STANDBY, ORIGIN, BLIND, SPARE = "hermitage", "commune-a", "commune-b", "commune-c"
OPERATOR = "maintenance"
TERRITORY = "territory"
DOCUMENTS = "documents"
SIZE_BYTES_MIN = MIB  # a repository, its envelopes and lists take some KiB however few the documents are


@dataclass
class Paper:
    """The printed recovery key. On a real territory it lies in a safe; here it is only in this process's memory."""

    key: Secret | None = None

    def show(self, key: RecoveryKey) -> None:
        self.key = key.secret

    def typed(self, _wrong: str = "") -> Secret:
        assert self.key is not None
        return self.key


@dataclass
class DemoContext:
    """Where the demo plays: `work` is its own folder, `data` the documents of commune A."""

    work: Path
    data: Path
    territory: ProcessTerritory
    paper: Paper = field(default_factory=Paper)
    generated: bool = True
    taken: Record | None = None
    needles: Needles | None = None

    def node(self, name: str) -> ProcessNode:
        return self.territory.nodes[name]

    def json(
        self, node: str, *words: str, stdin: bytes | None = None, timeout_seconds: float = 300
    ) -> Mapping[str, Any]:
        """Return the answer of `appliance --json WORDS` on `node`; raise Violated when it fails."""
        result = self.node(node).cli("--json", *words, stdin=stdin, timeout_seconds=timeout_seconds, check=False)
        if result.exit_code not in (0, 1) or not result.stdout.strip():
            raise Violated(f"{node}: appliance {' '.join(words)} ended with {result.exit_code}: {result.tail()}")
        answer: Mapping[str, Any] = json.loads(result.stdout)
        return answer

    def refused(self, node: str, *words: str, exit_code: int) -> str:
        """The sentence with which `appliance WORDS` is refused on `node`; raise Violated when it is not."""
        result = self.node(node).cli(*words, check=False)
        if result.exit_code != exit_code:
            raise Violated(f"{node}: appliance {' '.join(words)} ended with {result.exit_code}, not {exit_code}.")
        return result.tail().removeprefix("appliance: ")

    @property
    def record(self) -> Record:
        """The documents as they were at the second backup."""
        if self.taken is None:
            raise Unknown("the documents were not recorded.")
        return self.taken

    @property
    def left_out(self) -> tuple[str, ...]:
        """The documents that could not be recorded: sockets, and what this account may not read."""
        return tuple(dict.fromkeys(path for path, _ in self.record.left_out))

    @property
    def operator_key(self) -> Path:
        return self.territory.offline / "operator_ed25519"


def make_context(work: Path, data: Path, *, generated: bool) -> DemoContext:
    """A stage at `work`, emptied of an earlier demo's territory first."""
    root = work / TERRITORY
    remove_all(root)
    plan = load(inventories() / "demo")
    plan = on_ports(plan, dict(zip(plan.nodes, free_ports("127.0.0.1", len(plan.nodes)), strict=True)))
    context = DemoContext(work, data, ProcessTerritory(make_private_folder(root), plan), generated=generated)
    _make_operator(context)
    size = _size_of(data)
    service = replace(plan.service(SERVICE), paths=(str(data),), size_bytes=size, quota_bytes=4 * size)
    people = {OPERATOR: replace(plan.people[OPERATOR], keys=(public_line(load_key(context.operator_key)),))}
    context.territory.territory = replace(plan, services={SERVICE: service}, people=people)
    return context


def remove_all(folder: Path) -> None:
    """Remove `folder` with all below it, also what a restored mode closed to its owner; of a link, only the link."""
    if folder.is_symlink():
        folder.unlink()
    for path, folders, _ in os.walk(folder):
        for name in folders:
            inner = os.path.join(path, name)
            if not os.path.islink(inner):
                os.chmod(inner, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _make_operator(context: DemoContext) -> None:
    make_private_folder(context.territory.offline)
    run(
        ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(context.operator_key)), timeout_seconds=30, check=True
    )


def _size_of(data: Path) -> int:
    total = 0
    for folder, _, names in os.walk(data):
        for name in names:
            with contextlib.suppress(OSError):  # the backup says what could not be read
                total += os.lstat(os.path.join(folder, name)).st_size
    return max(total, SIZE_BYTES_MIN)


def told_left_out(paths: Sequence[str]) -> str:
    """The end of a sentence that counts and names `paths`; empty when there are none."""
    return f"; {len(paths)} left out: {', '.join(paths)}" if paths else ""


def found_territory(context: DemoContext) -> None:
    """Territory key, keys on every node, recovery key on paper, signed bundle everywhere, listeners and agents
    started."""
    context.territory.create()
    context.territory.recovery = ceremony(context.paper.show, context.paper.typed)
    context.territory.sign()
    context.territory.begin_services()
    context.territory.start()
