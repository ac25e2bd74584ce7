"""A host as the acceptance suite may look at it: by the commands of one list, none of which changes anything."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import pytest
from testinfra.host import Host

ADMITTED = re.compile(r"\b(tcp|udp) dport (\{[^}]*\}|\d+)(?: .*)? accept$")
SECONDS_MAX = 120
"""A command that has not ended by then is ended, on the host."""

COMMANDS = {
    "account": "id -u",
    "apply": "appliance --json --quiet internal node apply --enable --dry-run",
    "clock": "date +%s",
    "container": "systemd-detect-virt --container",
    "failed units": "systemctl list-units --failed --plain --no-legend",
    "passwords": "getent shadow",
    "ping": "appliance --json vault ping",
    "rules": "nft list chain inet appliance input",
    "rules as written": "cat /etc/nftables.conf",
    "sshd": "sshd -T",
    "status": "appliance --json status",
    "synchronised": "timedatectl show --property NTPSynchronized --value",
    "updates": "apt-config dump Unattended-Upgrade::Origins-Pattern",
    "version": "dpkg-query --show --showformat='${Version}' appliance",
    "voters": "appliance --json voter show",
}
"""Every command that the suite sends itself. What it asks testinfra's modules (services, sockets) is looking, too."""


@dataclass
class Looked:
    """A host that lets us in. `variables`: those of the inventory."""

    name: str
    host: Host
    variables: dict[str, Any] = field(repr=False)

    def said(self, what: str, *exit_codes: int) -> str:
        """The output of the command called `what`; the test fails with a sentence when it exits with another code, or
        fails without output."""
        found = self.host.run(f"timeout {SECONDS_MAX} {COMMANDS[what]}")
        if found.rc not in (exit_codes or (0,)) or (found.rc and not found.stdout):
            lines = (found.stderr or found.stdout).strip().splitlines() or ["it said nothing"]
            self.fails(f"`{COMMANDS[what]}` exits with {found.rc} there: {lines[-1][:300]}")
        return str(found.stdout)

    def answer(self, what: str, *exit_codes: int) -> dict[str, Any]:
        """The same of a command that answers in JSON."""
        text = self.said(what, *exit_codes)
        try:
            values = json.loads(text)
        except ValueError:
            self.fails(f"`{COMMANDS[what]}` does not answer in JSON there: {text[:100]!r}")
        return dict(values)

    @cached_property
    def status(self) -> dict[str, Any]:
        return self.answer("status", 0, 1, 4)

    def judged(self, role: str) -> list[dict[str, Any]]:
        return [it for it in self.status["judged"] if it["role"] == role]

    @cached_property
    def clock_ahead_seconds(self) -> float:
        """How far the host's clock is ahead of this machine's, which asked in the middle."""
        before = time.time()
        there = float(self.said("clock"))
        return there - (before + time.time()) / 2

    @property
    def roles(self) -> list[str]:
        return list(self.variables["appliance_roles"])

    @property
    def inventory(self) -> Path:
        return Path(self.variables["appliance_inventory"])

    @cached_property
    def is_container(self) -> bool:
        return self.host.run(COMMANDS["container"]).rc == 0

    def fails(self, sentence: str) -> NoReturn:
        pytest.fail(f"{self.name}: {sentence}", pytrace=False)

    def require(self, holds: object, sentence: str) -> None:
        """Fail with `sentence`, which says what is wrong and what to type, unless it `holds`."""
        if not holds:
            self.fails(sentence)


def named(judged: dict[str, Any], *states: str) -> list[str]:
    """A sentence for each reason of `judged` that is in one of `states`."""
    return [f"{it['sentence']} {it['remedy']}".strip() for it in judged["reasons"] if it["state"] in states]


def admitted(rules: str) -> set[tuple[str, int]]:
    """The protocol and each port of every rule that lets somebody in."""
    return {
        (protocol, int(port))
        for line in rules.splitlines()
        for protocol, ports in ADMITTED.findall(line.strip())
        for port in re.findall(r"\d+", ports)
    }
