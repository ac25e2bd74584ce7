"""The places where an operator types: boxes that run as processes, and the key holder's folder. Hosts can follow: a
place needs `type_at`, `goes_on` and `acted` alone.

The acts of a person, which no command does: to carry files from one place to another (here all lie in one folder), to
put the keys that a box printed into `keys`, to confirm a signature, and to start a program that stays.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.host.command import run
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.processes.node import ProcessNode
from tests.integration.operator.printed import KEY_HOLDER, Proposal, Said
from tests.pace import LONG

CONFIRMED = ("territory", "grant"), ("territory", "sign"), ("node", "revoke")
"""The person who signs has read what is shown."""
TYPED_SECONDS_MAX = 120


@dataclass
class Boxes:
    """`folder` has territory.yml, the territory key and all that is carried. `words`: what a person fills in."""

    folder: Path
    nodes: Mapping[str, ProcessNode]
    words: Mapping[str, str]
    typed: list[str] = field(default_factory=list)
    """The commands in their order, and what happened, for the person who reads about a failure."""
    sheet: bytes = b""
    """The text of the recovery sheet, for the command that asks for it."""

    def type_at(self, proposal: Proposal) -> Said:
        argv = self._filled(proposal)
        if argv[0] == "/usr/sbin/sshd":
            self.nodes[proposal.place].start_sshd()
            return Said(0)
        if argv[-2:] == ("internal", "agent"):
            self.nodes[proposal.place].start_agent()
            return Said(0)
        said = self._run(proposal.place, argv[1:])
        if proposal.out and said.is_done:
            (self.folder / "keys").mkdir(exist_ok=True)
            (self.folder / "keys" / proposal.out).write_text(said.out)
        self.typed.append(f"{proposal} -> {said.code} {said.err.strip()[-400:]}")
        return said

    def goes_on(self, name: str) -> Said:
        """Return how the node `name` is."""
        return self._run(name, ("--json", "status"))

    def acted(self, said: str) -> list[Proposal] | None:
        """Do what the sentence asks of a person, and return what that person types then; None: it is waited for."""
        return None

    def is_seen(self, condition: str, place: str) -> bool:
        """Whether a person at `place` sees that the condition holds, such as "if files of before are missing"."""
        return False

    def _run(self, place: str, words: tuple[str, ...]) -> Said:
        environment = {"PYTHONPATH": str(code_folder())}
        if place != KEY_HOLDER:
            node = self.nodes[place]
            environment |= {**node.environment, "APPLIANCE_STATE": str(node.state)}
        done = run(
            (*appliance_argv(), *words),
            timeout_seconds=LONG * TYPED_SECONDS_MAX,
            stdin=self.sheet if "--recovery-sheet" in words else None,
            cwd=self.folder,
            env=environment,
        )
        return Said(done.exit_code, done.stdout.decode(), done.stderr.decode())

    def _filled(self, proposal: Proposal) -> tuple[str, ...]:
        words = {**self.words, "NAME": proposal.place}
        argv = tuple(words.get(it, it) for it in proposal.argv)
        is_confirmed = any(argv[1:3] == it for it in CONFIRMED)
        return (*argv, "--yes") if is_confirmed and "--yes" not in argv else argv

    def stop(self) -> None:
        for node in self.nodes.values():
            node.stop()


def may_start_sshd() -> None:
    """sshd started by root separates privileges there."""
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
