"""A control machine for tests: playbooks are played from a folder of its own, and a node may be this machine itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.host.command import Result, run

ROOT = Path(__file__).parents[3]
CASE = ROOT / "tests" / "cases" / "hosts" / "territory.yml"


@dataclass(frozen=True)
class Control:
    """A control machine whose territory is in `folder`."""

    folder: Path

    def inventory(self, *words: str, source: str = "") -> Result:
        return self._run("ansible-inventory", "-i", str(self.folder / source), *words)

    def play(self, name: str, *words: str) -> Result:
        return self._run("ansible-playbook", "-i", str(self.folder), str(ROOT / "playbooks" / name), *words)

    def change(self, *changes: tuple[str, str]) -> None:
        file = self.folder / "territory.yml"
        text = file.read_text("utf-8")
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} must stand once"
            text = text.replace(old, new)
        file.write_text(text, "utf-8")

    def is_local(self, node: str) -> None:
        """Let `node` be this machine itself, whose disk is as it is."""
        folder = self.folder / "host_vars"
        folder.mkdir(exist_ok=True)
        (folder / f"{node}.yml").write_text("ansible_connection: local\nstorage_encryption: none\n")

    def _run(self, *argv: str) -> Result:
        env = {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "LC_ALL": "C.UTF-8",
        }
        return run(argv, timeout_seconds=120, env=env, cwd=self.folder)

    def program(self, name: str, text: str) -> Path:
        """A program of that name for the nodes that are this machine; the folder in which it is, for their PATH."""
        file = self.folder / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return file.parent


def control_in(place: Path) -> Control:
    """A new control machine, whose folder is made in `place`."""
    folder = place / "valley"
    folder.mkdir()
    (folder / "territory.yml").write_bytes(CASE.read_bytes())
    key = place / "territory.pub"
    key.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh\n")
    (folder / "group_vars").mkdir()
    brought = f"agent_deb: /elsewhere/appliance_0.1.0_all.deb\nagent_territory_key: {key}\n"
    (folder / "group_vars/nodes.yml").write_text(brought)
    return Control(folder)
