"""Look at a node from outside until a state is reached, with a bound; find what runs for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from appliance.agent import memory
from appliance.backup.chain.chain import chain_of
from appliance.backup.writer.writer import safety_of
from appliance_lab.processes.node import ProcessNode
from appliance_lab.processes.territory import ProcessTerritory
from tests.pace import LONG
from tests.waiting import wait_until

SERVICE = "docs-a"
BOUND_SECONDS = LONG * 40.0


def is_safe(territory: ProcessTerritory) -> bool:
    return safety_of(territory.open("commune-a"), SERVICE).safe


def generations(territory: ProcessTerritory) -> int:
    return len(chain_of(territory.open("commune-a"), SERVICE).names())


def remembered(node: ProcessNode, name: str) -> Any:
    """The attempt `name` in the agent's memory; None when there is none yet."""
    return memory.load(memory.path_of(node.layout)).attempts.get(name)


def status(node: ProcessNode) -> tuple[int, dict[str, Any], str]:
    """Exit code, JSON and text of `appliance status`."""
    told = node.cli("status", "--json", check=False)
    return told.exit_code, json.loads(told.stdout), node.cli("status", check=False).stdout.decode()


def agent_of(node: ProcessNode) -> subprocess.Popen[bytes]:
    """The process started last, which is the agent."""
    return node.processes[-1]


def kill_agent(node: ProcessNode) -> None:
    """kill -9 of the agent alone."""
    agent = node.processes.pop()
    agent.kill()
    agent.wait()


def processes(node: ProcessNode, *words: str) -> tuple[int, ...]:
    """Processes with the node's folder and all `words` in their command line; its sshd does not count."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(node.state) in line and "sshd" not in line and all(word in line for word in words):
                found.append(int(folder.name))
    return tuple(found)


def stop_borg(node: ProcessNode) -> int:
    """Stop the borg that makes an archive on this node as soon as there is one, in the middle of its work."""
    found: list[int] = []
    wait_until(lambda: found.extend(processes(node, "borg", " create ")) or found, "a borg create runs")
    os.kill(found[0], signal.SIGSTOP)
    return found[0]
