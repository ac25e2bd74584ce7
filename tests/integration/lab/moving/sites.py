"""Services that move between hosts of a lab: at home at commune-a, the hermitage stands by; what tests ask of them."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from appliance.clock import utc_text
from appliance.host.command import Result, run
from appliance.host.network import netns
from appliance.trust.act import make_act
from appliance.units import DAY
from appliance_lab.hosts import machine
from appliance_lab.hosts.disturb import disturb
from appliance_lab.hosts.faults import HEALED, Fault, targets
from tests.integration.lab.meshed import MESH, Meshed
from tests.pace import LONG
from tests.waiting import wait_until

HOME, STANDBY, CLIENT, OTHER = "commune-a", "hermitage", "commune-c", "commune-b"
EXCLUSIVE, LOCAL_FIRST, MIRROR = "horaires", "affiches", "bulletin"
ADDRESSES = {EXCLUSIVE: "10.64.8.1", LOCAL_FIRST: "10.64.8.2", MIRROR: "10.64.8.6"}
SENDS = """
import socket, struct, sys
head = struct.pack("!BBHHHBBH4s4s", 69, 0, 28, 0, 0, 64, 17, 0, *map(socket.inet_aton, sys.argv[1:]))
total = sum(struct.unpack("!10H", head))
head = head[:10] + struct.pack("!H", 65535 - total % 65535) + head[12:]
with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as line:
    line.sendto(head + struct.pack("!4H", 9, 9, 8, 0), ("mesh0", 0x0800))
"""
LEASE_SECONDS = 15
COMES_ABOUT_WITHIN_SECONDS = LONG * 120.0


class Sites(Meshed):
    def get(self, node: str, at: str) -> str:
        """Return what a browser on `node` sees at `at`; "" when nobody answers."""
        asks = "import sys, urllib.request as r; print(r.urlopen(f'http://{sys.argv[1]}/', timeout=2).read().decode())"
        return self.run(node, "python3", "-I", "-c", asks, at, check=False).stdout.decode().strip()

    def write(self, node: str, service: str, text: str) -> bool:
        """Somebody at `node` changes the first page; whether that could be written."""
        place = f"/srv/sites/{service}/index.html"
        return self.run(node, "tee", place, stdin=text.encode(), check=False).exit_code == 0

    def bring_as_root(self, node: str, service: str) -> None:
        """Folders in the site that are not of the account that serves, as a publisher may leave them."""
        place = f"/srv/sites/{service}/{node}/pages"
        self.run(node, "sh", "-c", f"mkdir -p -m 755 {place} && echo 1 >{place}/1")

    def may_write(self, node: str, service: str) -> bool:
        """Whether anybody at all could, root included."""
        return self.run(node, "test", "-w", f"/srv/sites/{service}", check=False).exit_code == 0

    def appliance(self, node: str, *words: str) -> Result:
        return self.run(node, "appliance", "--json", *words, check=False)

    def here(self, node: str, service: str) -> dict[str, Any]:
        """Return the status of `service` at `node`, by the program that serves."""
        found = self.run(node, "cat", f"/srv/appliance/node/run/failover/{service}.json", check=False).stdout
        state: dict[str, Any] = json.loads(found) if found else {}
        return state

    def state(self, node: str, service: str) -> str:
        return str(self.here(node, service).get("state", ""))

    def holds_address(self, node: str, service: str) -> bool:
        return ADDRESSES[service] in self.said(node, "ip", "-4", "-brief", "address")

    def send_as(self, service: str, node: str) -> None:
        """Have `node` send a packet to the client as if it had the service's address, whatever its own filter says."""
        self.run(node, "python3", "-I", "-c", SENDS, ADDRESSES[service], MESH[CLIENT])

    def on_pages(self, node: str, service: str) -> str:
        """Return what a PC in the building of `node` reads of a site on the pages of that node; "" for nothing."""
        address = f"https://{self.lab.plan.node(node).address}/publies/{service}/"
        asks = ("curl", "--silent", "--insecure", "--fail", "--max-time", "30", address)
        return run(netns.inside(self.lab.plan.site(node).namespace, asks), timeout_seconds=300).stdout.decode().strip()

    def is_active(self, node: str, service: str) -> bool:
        unit = f"appliance-site@{service}.service"
        return self.run(node, "systemctl", "is-active", "--quiet", unit, check=False).exit_code == 0

    def history(self, service: str) -> list[dict[str, Any]]:
        """Return the history of both candidates, by the clock that all hosts of a lab share."""
        lines = []
        for node in (HOME, STANDBY):
            file = self.lab.root(self.lab.plan.node(node)) / "srv/appliance/node/failover.jsonl"
            lines += [json.loads(line) for line in file.read_text().splitlines() if line]
        return sorted((it for it in lines if it["svc"] == service), key=lambda it: float(it["t_boottime"]))

    def ask_home(self, service: str) -> None:
        """By the command. The voters may hear a moment later that its home is there, and refuse who asks before."""
        asks = ("failover", "move", service, HOME)
        until(lambda: self.appliance(STANDBY, *asks).exit_code == 0, f"{service} is asked home")

    def move(self, *words: str) -> None:
        """Type it at the standby."""
        moved = self.appliance(STANDBY, "failover", *words)
        assert moved.exit_code == 0, moved.stderr.decode()

    def back_up(self, service: str) -> None:
        until(lambda: self.appliance(HOME, "backup", "run", service).exit_code in (0, 1), f"a backup of {service}")

    @contextmanager
    def unheard(self, node: str) -> Iterator[None]:
        """Lose packets that its site sends; packets to it arrive."""
        links = targets(self.lab.plan, f"{self.lab.plan.node(node).site}--*")
        disturb(self.lab, dict.fromkeys(links, Fault(cut=True, cut_from=self.lab.plan.node(node).site)))
        try:
            yield
        finally:
            disturb(self.lab, dict.fromkeys(links, HEALED))

    @contextmanager
    def frozen(self, node: str) -> Iterator[None]:
        machine.freeze(self.lab.plan.node(node))
        try:
            yield
        finally:
            machine.thaw(self.lab.plan.node(node))

    @contextmanager
    def cut_off(self, *nodes: str) -> Iterator[None]:
        disturb(self.lab, dict.fromkeys(nodes, Fault(cut=True)))
        try:
            yield
        finally:
            disturb(self.lab, dict.fromkeys(nodes, HEALED))

    def signed(self, act: str, node: str, service: str) -> str:
        """Where an operator's act about `node` lies at the standby, signed with a key that is on no node."""
        fields = {"act": act, "subject": node, "service": service, "operator": "maintenance", "reason": "test"}
        now = time.time()
        raw = make_act({**fields, "start": utc_text(now), "end": utc_text(now + DAY)}, self.desk.operator_key)
        self.run(STANDBY, "tee", f"/srv/{act}.act", stdin=raw)
        return f"/srv/{act}.act"


def until(holds: Any, what: str, seconds_max: float = COMES_ABOUT_WITHIN_SECONDS) -> float:
    """Seconds until it holds; fail when it does not come."""
    return wait_until(holds, what, seconds_max)


def boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def assert_one_writer_at_a_time(sites: Sites, service: str, since: float, power_cut_at: float = math.inf) -> None:
    """From `since` on, when it was at home, nobody started before the other had stopped, or had lost its power."""
    open_at = HOME
    events = [it for it in sites.history(service) if it["t_boottime"] > since]
    assert any(it["event"] == "writer-start" and it["node"] == STANDBY for it in events), "nothing moved"
    for it in events:
        if it["t_boottime"] > power_cut_at and open_at == HOME:
            open_at, power_cut_at = "", math.inf
        if it["event"] == "writer-start":
            assert open_at in ("", it["node"]), f"{it['node']} began while {open_at} still wrote: {it}"
            open_at = it["node"]
        elif it["event"] == "writer-stop" and it["node"] == open_at:
            open_at = ""
