"""The context of a story's steps: a lab, its control folder, and how a step asks its nodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.errors import OK, WARNINGS
from appliance.host.command import Result, run
from appliance_lab.checkers.tree_record import Record
from appliance_lab.hosts.control_machine import ControlMachine
from appliance_lab.hosts.lab import Lab, open_lab
from appliance_lab.hosts.paths import HostPaths
from appliance_lab.hosts.playbook import Played, play
from appliance_lab.stories.left import Left
from appliance_lab.story import Violated, waiting

SERVICE = "docs-a"
STANDBY, ORIGIN, BLIND, SPARE = "hermitage", "commune-a", "commune-b", "commune-c"
SSH_SECONDS_MAX = 300.0
BACKUP_SECONDS_MAX = 300.0
IN_USE = "is in use by another process"


@dataclass
class StoryContext:
    """`before`: what was on this machine before the lab. `taken`: what documents were, for later steps to compare."""

    name: str
    inventory: Path
    say: Callable[[str], None]
    before: Left
    paths: HostPaths = field(default_factory=HostPaths)
    taken: dict[str, Record] = field(default_factory=dict)

    @property
    def lab(self) -> Lab:
        """The lab as it is now; raise NotFound before it was brought up."""
        return open_lab(self.paths, self.name, self.say)

    @property
    def control(self) -> ControlMachine:
        return ControlMachine(self.paths.lab(self.name).root)

    def disk(self, node: str, path: str) -> Path:
        """`path` of `node`, seen from this machine."""
        lab = self.lab
        return lab.root(lab.plan.node(node)) / path.lstrip("/")

    def ssh(self, node: str, *words: str, stdin: bytes | None = None) -> Result:
        """`words`, one line of a shell, on `node` as root over SSH."""
        config = str(self.paths.lab(self.name).ssh_config)
        return run(("ssh", "-F", config, node, *words), timeout_seconds=SSH_SECONDS_MAX, stdin=stdin)

    def did(self, node: str, *words: str, stdin: bytes | None = None) -> str:
        """Return the output of `words` on `node`; raise Violated when they fail."""
        result = self.ssh(node, *words, stdin=stdin)
        if result.exit_code != 0:
            raise Violated(f"{node}: {' '.join(words)} ended with {result.exit_code}: {result.tail()}")
        return result.stdout.decode()

    def json(self, node: str, *words: str) -> Mapping[str, Any]:
        """Return the answer of `appliance --json WORDS` on `node`; warnings (1) are an answer, failures are
        Violated."""
        result = self.ssh(node, "appliance", "--json", *words)
        if result.exit_code not in (0, 1) or not result.stdout.strip():
            raise Violated(f"{node}: appliance {' '.join(words)} ended with {result.exit_code}: {result.tail()}")
        answer: Mapping[str, Any] = json.loads(result.stdout)
        return answer

    def play(self, playbook: str, node: str) -> Played:
        """How `playbook` ended for `node`, for the better; raise Violated otherwise."""
        played = play(self.control, playbook, "-e", f"node={node}")
        if played.exit_code != 0:
            where = str(self.control.root / f"{playbook}.log")
            raise Violated(f"{playbook} ended with {played.exit_code}: {played.tail()}", where=where)
        return played

    def back_up(self, service: str) -> None:
        """Back `service` up now at its origin; where the agent was faster, after that run."""
        with waiting(f"the end of another backup of {service}", BACKUP_SECONDS_MAX) as done:
            while True:
                ran = self.ssh(ORIGIN, "appliance", "backup", "run", service)
                if done(IN_USE not in ran.tail()):
                    break
        if ran.exit_code not in (OK, WARNINGS):
            raise Violated(f"{ORIGIN}: {service} was not backed up: {ran.tail()}")

    def refused(self, node: str, *words: str) -> str:
        """Return the message of `words` when they fail on `node`, as they must; raise Violated when they do not."""
        result = self.ssh(node, *words)
        if result.exit_code == 0:
            raise Violated(f"{node}: {' '.join(words)} went through: {result.stdout.decode(errors='replace')[:200]}")
        return result.tail(1).removeprefix("appliance: ")

    def wait_until_safe(self, service: str, node: str, seconds_max: float = 180) -> Mapping[str, Any]:
        """`backup show SERVICE` on its origin `node`, once it is safe; raise Violated when that takes too long."""
        with waiting(f"a safe backup of {service}", seconds_max) as done:
            while True:
                shown = self.json(node, "backup", "show", service)
                if done(bool(shown.get("generation")) and bool(shown["safety"]["safe"])):
                    return shown
