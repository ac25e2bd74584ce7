"""The stage of the demo: four sites as plain processes, the documents of commune A, and what lies in a safe."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from appliance.config.load import load
from appliance.escrow.age import RecoveryKey
from appliance.escrow.ceremony import ceremony
from appliance.host.command import run
from appliance.host.files import make_private_folder
from appliance.secret import Secret
from appliance.territory.model import Node
from appliance.trust.keys import load_key, public_line
from appliance.units import MIB
from appliance_lab.checkers.tree_record import Record
from appliance_lab.checkout import inventories
from appliance_lab.demo.comparable import times_not_kept
from appliance_lab.demo.documents import TERRITORY, Measured, measure, plant_canary
from appliance_lab.demo.search import Needles
from appliance_lab.processes.node import ProcessNode, free_ports
from appliance_lab.processes.territory import ProcessTerritory, on_ports
from appliance_lab.story import Unknown, Violated

SERVICE = "docs-a"
STANDBY, ORIGIN, BLIND, SPARE = "hermitage", "commune-a", "commune-b", "commune-c"
OPERATOR = "maintenance"
SIZE_BYTES_MIN = MIB  # a repository, its envelopes and lists take some KiB however few the documents are
QUOTA_RATIO = 4  # of it one epoch may fill 70 %; an attacker's generations are in it, too
BYTES_PER_SECOND_MIN = 5 * MIB
"""A slow disk, and a processor that encrypts: what the user's own documents take is added to each limit of time."""
NAMED_MAX = 5
CHANGED = "changed while they were saved, and not compared"
COMMAND_SECONDS_MAX = 300.0
NOTHING = Measured(0, 0, 0)


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
    measured: Measured = NOTHING
    """The user's own documents; nothing for those that the demo made up."""
    canary: Path | None = None
    """A file of the demo's own beside them."""
    taken: Record | None = None
    saved_ns: int = 0
    """When the user's own documents began to be recorded and saved, in nanoseconds of UTC; 0 for those of the demo."""
    changed: frozenset[str] = frozenset()
    """Paths that somebody changed while they were saved: they are compared with nothing."""
    seen_before: frozenset[bytes] = frozenset()
    """Pieces and names that peers had before the first backup: to find them there shows nothing."""
    needles: Needles | None = None

    def node(self, name: str) -> ProcessNode:
        return self.territory.nodes[name]

    def patience(self, seconds: float) -> float:
        """The limit for what takes at most `seconds` with the documents that the demo makes up."""
        return seconds + self.measured.bytes / BYTES_PER_SECOND_MIN

    def json(self, node: str, *words: str, stdin: bytes | None = None) -> Mapping[str, Any]:
        """Return the answer of `appliance --json WORDS` on `node`; raise Violated when it fails."""
        limit = self.patience(COMMAND_SECONDS_MAX)
        result = self.node(node).cli("--json", *words, stdin=stdin, timeout_seconds=limit, check=False)
        if result.exit_code not in (0, 1) or not result.stdout.strip():
            raise Violated(f"{node}: appliance {' '.join(words)} ended with {result.exit_code}: {result.tail()}")
        answer: Mapping[str, Any] = json.loads(result.stdout)
        return answer

    def refused(self, node: str, *words: str, exit_code: int) -> str:
        """The sentence with which `appliance WORDS` is refused on `node`; raise Violated when it is not."""
        result = self.node(node).cli(*words, timeout_seconds=self.patience(COMMAND_SECONDS_MAX), check=False)
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
        return tuple(dict.fromkeys(path for path, _ in self.record.left_out if path not in self.changed))

    @property
    def exceptions(self) -> str:
        """The end of a sentence on a comparison: what is not in it, or only in part."""
        return told_left_out(self.left_out) + told(self.changed, CHANGED) + told_times(self.record)

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
    found = measure(data)
    if not generated:
        context.measured, context.canary = found, plant_canary(root / "canary")
    _make_operator(context)
    size = max(found.room_bytes, SIZE_BYTES_MIN)
    paths = (str(data), *([str(context.canary.parent)] if context.canary else []))
    service = replace(plan.service(SERVICE), paths=paths, size_bytes=size, quota_bytes=QUOTA_RATIO * size)
    people = {OPERATOR: replace(plan.people[OPERATOR], keys=(public_line(load_key(context.operator_key)),))}
    nodes = {name: with_room(node, service.quota_bytes) for name, node in plan.nodes.items()}
    context.territory.territory = replace(plan, nodes=nodes, services={SERVICE: service}, people=people)
    return context


def with_room(node: Node, quota_bytes: int) -> Node:
    """`node`, offering at least that: whether the disk has the room was looked at before."""
    offered = max(node.offered_bytes, quota_bytes)
    return replace(node, offered_bytes=offered, disk_bytes=max(node.disk_bytes, offered))


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


def told(paths: Collection[str], what: str) -> str:
    """The end of a sentence that counts `paths` and names the first; empty when there are none."""
    if not paths:
        return ""
    more = f" and {len(paths) - NAMED_MAX} more" if len(paths) > NAMED_MAX else ""
    return f"; {len(paths)} {what}: {', '.join(sorted(paths)[:NAMED_MAX])}{more}"


def told_left_out(paths: Collection[str]) -> str:
    return told(paths, "left out")


def told_times(record: Record) -> str:
    """The end of a sentence on the files of `record` of which borg cannot keep the time."""
    return told(times_not_kept(record), "with a time before 1970 or after 2038, which borg cannot keep")


def found_territory(context: DemoContext) -> None:
    """Territory key, keys on every node, recovery key on paper, signed bundle everywhere, listeners and agents
    started."""
    context.territory.create()
    context.territory.recovery = ceremony(context.paper.show, context.paper.typed)
    context.territory.sign()
    context.territory.begin_services()
    context.territory.start()
