"""Lab hosts in whose mesh two are behind a carrier's NAT, and what a test asks of them."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance.host.command import Result, run
from appliance.host.network import netns, nft
from appliance_lab.hosts import lab as labs
from appliance_lab.hosts import machine
from appliance_lab.hosts.control_machine import ControlMachine
from appliance_lab.hosts.lab import Lab
from appliance_lab.hosts.provision import sign
from tests.pace import LONG

MESH = {"hermitage": "10.64.0.1", "commune-a": "10.64.0.2", "commune-b": "10.64.0.3", "commune-c": "10.64.0.4"}
SCANNER = Path(__file__).with_name("scan.py")
RUN_SECONDS_MAX = LONG * 120.0
# Who is behind NAT notices after 15 s of its own sending that the other end has forgotten it.
HOLDS_WITHIN_SECONDS = LONG * 60.0
# What a carrier does: its customers go out under its own address, and nobody begins from outside.
CARRIER = """
    chain out {{
        type nat hook postrouting priority srcnat;
        ip saddr {address} oifname "s*" snat to {gateway}
    }}
    chain in {{
        type filter hook forward priority filter;
        iifname "s*" ct state new drop
    }}
"""


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for a state; fail when it does not come."""
    deadline = time.monotonic() + HOLDS_WITHIN_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"after {HOLDS_WITHIN_SECONDS:.0f} s still not: {what}"
        time.sleep(0.1)


@dataclass(frozen=True)
class Meshed:
    """A provisioned lab and its control folder."""

    lab: Lab

    @property
    def desk(self) -> ControlMachine:
        return ControlMachine(self.lab.own.root)

    def run(self, node: str, *argv: str, stdin: bytes | None = None, check: bool = True) -> Result:
        """`argv` as root on `node`, from its console side."""
        words = machine.enter_argv(self.lab.plan.node(node), argv)
        return run(words, timeout_seconds=RUN_SECONDS_MAX, stdin=stdin, check=check)

    def said(self, node: str, *argv: str) -> str:
        return self.run(node, *argv).stdout.decode().strip()

    def ssh(self, node: str, typed: str) -> Result:
        """Type a command on `node` over SSH as an operator does."""
        argv = ("ssh", "-F", str(self.lab.own.ssh_config), "-o", "ConnectTimeout=5", node, typed)
        return run(argv, timeout_seconds=RUN_SECONDS_MAX)

    def address(self, node: str) -> str:
        return str(self.lab.plan.node(node).address)

    def namespace(self, node: str) -> str:
        return self.lab.plan.node(node).namespace

    def scan(self, namespace: str, node: str, address: str, *udp_ports: str) -> dict[str, object]:
        """Return what `node` shows at `address` to somebody in `namespace`: its open ports, and the answer of each UDP
        port."""
        listening = {line.split()[3].rpartition(":")[2] for line in self.said(node, "ss", "-Hltn").splitlines()}
        argv = (sys.executable, "-I", str(SCANNER), address, ",".join(sorted(listening)), *udp_ports)
        argv = netns.inside(namespace, argv)
        found: dict[str, object] = json.loads(run(argv, timeout_seconds=RUN_SECONDS_MAX, check=True).stdout)
        return found

    def start_again(self, node: str, *, cut: bool) -> None:
        """Switch `node` off, or cut its power, and on again; return when it answers."""
        it = self.lab.plan.node(node)
        (machine.cut_power if cut else machine.shut_down)(it)
        labs.power_on(self.lab, it)
        labs.wait_for_ssh(self.lab, (it,))

    def change_territory(self, pattern: str, by: str) -> None:
        """Replace what matches `pattern` in territory.yml, once, and have the territory's key sign it."""
        file = self.desk.inventory / "territory.yml"
        text, count = re.subn(pattern, by, file.read_text(), count=1, flags=re.DOTALL | re.MULTILINE)
        assert count == 1, pattern
        file.write_text(text)
        assert sign(self.lab, self.desk)

    def give_bundle(self, *nodes: str) -> None:
        """Nobody applies it: the hosts follow by themselves."""
        for node in nodes:
            self.run(node, "appliance", "node", "accept", "/dev/stdin", stdin=self.desk.bundle.read_bytes())

    def hide(self, *nodes: str) -> None:
        """Put `nodes` behind a carrier's NAT, and say so in the territory."""
        for node in nodes:
            site = self.lab.plan.site(node)
            rules = CARRIER.format(address=self.address(node), gateway=site.gateway)
            nft.replace_table("ip carrier", rules, namespace=site.namespace)
            self.change_territory(rf"(name: {node}, [^}}]*mesh: [\d.]+)", r"\1, mesh_port: 0")
        self.give_bundle(*(node.name for node in self.lab.plan.nodes))

    def greets(self, source: str, address: str, own: str = "", own_port: int = 0) -> bool:
        """Whether the sshd at `address` greets somebody on the node `source`, who asks from `own` and `own_port` if
        these are given."""
        talk = (
            "import socket, sys; _, address, own, port = sys.argv; "
            "print(socket.create_connection((address, 22), 3, (own, int(port))).recv(4))"
        )
        argv = ("python3", "-I", "-c", talk, address, own, str(own_port))
        return "SSH-" in self.run(source, *argv, check=False).stdout.decode()

    def peers(self, node: str) -> dict[str, set[str]]:
        """The peers of `node` by their key, each with what may come from it."""
        lines = self.said(node, "wg", "show", "mesh0", "allowed-ips").splitlines()
        return {key: set(networks) for key, *networks in map(str.split, lines)}

    def key(self, node: str) -> str:
        return self.said(node, "wg", "show", "mesh0", "public-key")

    @contextmanager
    def counting(self, node: str, match: str, *, leaving: bool = False) -> Iterator[Counter]:
        """Count the packets that `match` and reach `node`, before its firewall sees them; or that are `leaving` it."""
        table, where = ("left", "postrouting priority 300") if leaving else ("came", "prerouting priority -310")
        rules = f"table inet {table} {{ chain c {{ type filter hook {where}; {match} counter; }}; }}"
        self.run(node, "nft", "-f", "-", stdin=rules.encode())
        try:
            yield Counter(self, node, table)
        finally:
            self.run(node, "nft", "delete", "table", "inet", table)


@dataclass(frozen=True)
class Counter:
    hosts: Meshed
    node: str
    table: str

    def __int__(self) -> int:
        listed = self.hosts.said(self.node, "nft", "list", "table", "inet", self.table)
        return int(listed.partition("counter packets ")[2].split()[0])
