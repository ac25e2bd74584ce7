"""Build a territory in process mode: keys on each node, the territory key, the signed bundle on every node, the
listeners.
"""

from __future__ import annotations

import getpass
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from appliance.backup.writer.begin import begin, take_first_grant
from appliance.clock import SystemClock, utc_text
from appliance.host.files import make_private_folder
from appliance.host.identity import machine_id
from appliance.membership.sshd import write_sshd_config
from appliance.node.handle import Node, open_node
from appliance.territory.model import Territory
from appliance.territory.placement import place
from appliance.trust.bundle import Member, accept_bundle, make_bundle, voter_keys
from appliance.trust.former import NOBODY, Former
from appliance.trust.grant import read_request
from appliance.trust.granted import Granted
from appliance.trust.identity import create_identity, load_identity
from appliance.trust.keys import create_key, load_key
from appliance.trust.revocation import NOTHING, Revoked
from appliance.trust.voting import Voting, next_term
from appliance.voter.promises import begin_promises
from appliance_lab.processes.node import ProcessNode


@dataclass
class ProcessTerritory:
    """The nodes of `territory` under `root`; the folder `offline` stands for a safe: the territory key lies there."""

    root: Path
    territory: Territory
    nodes: dict[str, ProcessNode] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    serial: int = 0
    recovery: str = ""
    revoked: Revoked = NOTHING
    former: Former = NOBODY
    """The services and nodes that left, as the next bundle says."""
    ca: str = ""
    """SHA-256 of the root certificate, once certificates are issued (`certificates.py`)."""
    voting: Voting | None = None
    """The voters of the bundle signed last."""

    @property
    def offline(self) -> Path:
        return self.root / "offline"

    @property
    def territory_key(self) -> Path:
        return self.offline / "territory_ed25519"

    def create(self) -> None:
        """Make the territory key and every node with its own keys."""
        make_private_folder(self.offline)
        create_key(self.territory_key)
        for name in self.territory.nodes:
            self.add_node(name)

    def add_node(self, name: str) -> ProcessNode:
        """Make the node `name` with fresh keys: first contact happens at its console, here in its folder."""
        plan = self.territory.node(name)
        node = ProcessNode(name, self.root / "nodes" / name, plan.address, plan.port)
        public = self.territory_key.with_suffix(".pub").read_text().strip()
        keys = create_identity(node.layout, name, public)
        if not node.layout.promises.exists():
            begin_promises(node.layout.promises, machine_id())
        self.nodes[name] = node
        self.members[name] = Member(plan, getpass.getuser(), keys)
        return node

    def sign(self, to: Collection[str] | None = None) -> None:
        """Sign the bundle with the next serial and hand it to the nodes `to`, all by default."""
        self.serial += 1
        raw = self.signed()
        for name in self.nodes if to is None else to:
            layout = self.nodes[name].layout
            accept_bundle(layout.bundle, raw, load_identity(layout).territory_key)
            write_sshd_config(open_node(layout.root))

    def signed(self) -> bytes:
        """The bundle as it is now, under the serial of the last signing."""
        keys = voter_keys(self.territory, self.members)
        self.voting = Voting(keys, next_term(self.voting, keys))
        return make_bundle(
            load_key(self.territory_key),
            serial=self.serial,
            issued=utc_text(SystemClock().now()),
            territory=self.territory,
            placements=place(self.territory),
            members=self.members,
            recovery=self.recovery,
            revoked=self.revoked,
            ca=self.ca,
            term=self.voting.term,
            former=self.former,
        )

    def open(self, name: str) -> Node:
        return open_node(self.nodes[name].state)

    def grant(self, request: bytes, node: str) -> bytes:
        """Answer a request as the key holder does: sign the next epoch."""
        granted = Granted(self.territory_key)
        asked = read_request(request, self.members[node].keys.sign)
        grant = granted.grant(load_key(self.territory_key), asked, above=self.revoked.ended_epoch(asked.service))
        granted.save()
        return grant.document.raw

    def begin_services(self) -> None:
        """Start every service at its origin under its first grant."""
        for service in self.territory.services.values():
            node = self.open(service.node)
            take_first_grant(node, service.name, self.grant(begin(node, service.name), service.node))

    def start(self) -> None:
        for node in self.nodes.values():
            node.start_sshd()

    def stop(self) -> None:
        for node in self.nodes.values():
            node.stop()


def on_ports(territory: Territory, ports: Mapping[str, int], address: str = "127.0.0.1") -> Territory:
    """`territory` with its nodes at these ports of a loopback address."""
    nodes = {name: replace(node, address=address, port=ports[name]) for name, node in territory.nodes.items()}
    return replace(territory, nodes=nodes)
