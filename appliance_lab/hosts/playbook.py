"""Run a playbook against a lab, and read from its recap what it did."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from appliance.errors import ApplianceError
from appliance.host.command import SAFE_ENVIRONMENT, Result, stream
from appliance_lab.checkout import code_folder
from appliance_lab.hosts.control_machine import ControlMachine

SECONDS_MAX = 1800.0
RECAP = re.compile(r"^(\S+) +: ok=.*$", re.MULTILINE)
FAILURE = re.compile(r"\[ERROR\]|fatal:|appliance:")
COUNT = re.compile(r"(\w+)=(\d+)")
UNREACHABLE = 4
"""Exit code of a run in which a machine did not answer."""


@dataclass(frozen=True)
class Played:
    """How a playbook ended. `recap`: for each node the counts of Ansible's own recap: ok, changed, unreachable, ...."""

    name: str
    exit_code: int
    text: str
    seconds: float
    recap: Mapping[str, Mapping[str, int]]

    @property
    def changed(self) -> int:
        """Tasks that changed something, on all nodes together."""
        return sum(counts["changed"] for counts in self.recap.values())

    def tail(self) -> str:
        """Return the failure, as the end of the output says it."""
        lines = [line.strip() for line in self.text.splitlines()]
        said = [line for line in lines if FAILURE.match(line)] or [line for line in lines if line]
        return said[-1][:500] if said else "nothing was said"


def play(control: ControlMachine, name: str, *words: str) -> Played:
    """Run `playbooks/NAME.yml` against the nodes of `control`; NAME.log in the lab's folder gets what it prints."""
    playbook = code_folder() / "playbooks" / f"{name}.yml"
    argv = ("ansible-playbook", "-i", str(control.inventory), str(playbook), *words)
    env = {
        **{variable: os.environ[variable] for variable in SAFE_ENVIRONMENT if variable in os.environ},
        "ANSIBLE_CONFIG": str(code_folder() / "ansible.cfg"),
        "ANSIBLE_HOME": str(control.root / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
        **({"ANSIBLE_VAULT_PASSWORD_FILE": str(control.vault_password)} if control.vault_password.exists() else {}),
    }
    with open(control.root / f"{name}.log", "wb") as log:
        result, printed = _followed(argv, env, log)
    text = (printed + result.stderr).decode(errors="replace")
    return Played(name, result.exit_code, text, result.seconds, read_recap(text))


def _followed(argv: tuple[str, ...], env: Mapping[str, str], log: BinaryIO) -> tuple[Result, bytes]:
    """How the command ended and what it printed, which somebody who waits finds in `log` as it comes."""
    pieces: list[bytes] = []
    coming = stream(argv, timeout_seconds=SECONDS_MAX, env=env, cwd=code_folder())
    while True:
        try:
            pieces.append(next(coming))
        except StopIteration as end:
            log.write(end.value.stderr)
            return end.value, b"".join(pieces)
        log.write(pieces[-1])
        log.flush()


def play_well(control: ControlMachine, name: str, *words: str) -> Played:
    """The same; raise ApplianceError unless every node came to the end."""
    played = play(control, name, *words)
    if played.exit_code != 0:
        where = str(control.root / f"{name}.log")
        raise ApplianceError(f"{name} ended with {played.exit_code}: {played.tail()}", where=where)
    return played


def read_recap(text: str) -> dict[str, dict[str, int]]:
    """The counts for each node in what ansible-playbook printed."""
    lines = RECAP.finditer(text.rpartition("PLAY RECAP")[2])
    return {line[1]: {name: int(count) for name, count in COUNT.findall(line[0])} for line in lines}
