"""The voter of a node and its broker, from the bundle alone: etcd's words, where the broker finds it, ports. Pure.

Clients reach etcd on the loopback only, where the broker is; the other voters by their names in certificates and in
/etc/hosts, over the mesh where there is one. A node that votes no more loses its etcd settings, and starts it no more.
"""

from __future__ import annotations

import json
from pathlib import Path

from appliance.coordination.argv import Certificates, Member, etcd_argv
from appliance.host.layout import AGENT
from appliance.provision.addresses import bracketed, network
from appliance.provision.files import HEADING, OwnedFolder, Part, WantedFile
from appliance.provision.vault import RECEIVER, STATE
from appliance.territory.model import Node
from appliance.territory.quorum import VOTER
from appliance.trust.bundle import Bundle

UNIT = "appliance-voter.service"
FOLDER = "/etc/appliance/voter.d"
WORDS = f"{FOLDER}/words"
DATA = Path("/var/lib/appliance-voter/etcd")
MEMORY = Path("/var/lib/private/appliance-voter/etcd")
"""The same as root sees it, before the first start of the unit too: systemd keeps what a passing account has there."""
CLIENT_URL = "https://127.0.0.1:2379"
PEER_PORT = 2380
SETTINGS = f"{STATE}/voter.json"
"""Read by the broker, which runs as the account of the node."""
CREDENTIALS = Path("/run/credentials") / UNIT
CERTIFICATES = Certificates(*(CREDENTIALS / it for it in ("root", "certificate", "key", "revoked")))
"""Copies that systemd makes for this unit alone: the key belongs to the account of the agent."""


def others(bundle: Bundle, name: str) -> tuple[Node, ...]:
    """The voters that the node `name` lets in, by name; none where it does not vote itself."""
    found = _voters(bundle)
    return tuple(node for node in found.values() if node.name != name) if name in found else ()


def member_of(bundle: Bundle, name: str) -> Member | None:
    """The voter on the node `name`; None where it does not vote."""
    found = _voters(bundle)
    if name not in found:
        return None
    return Member(
        name,
        DATA,
        CLIENT_URL,
        {voter: f"https://{voter}.{bundle.territory.domain}:{PEER_PORT}" for voter in found},
        CERTIFICATES,
        peer_listen_url=f"https://{bracketed(found[name].reach)}:{PEER_PORT}",
    )


def part(bundle: Bundle, name: str) -> Part:
    """Return the part that makes the node `name` a voter, or ends that."""
    folders = (OwnedFolder(FOLDER), OwnedFolder(STATE, Path(SETTINGS).name, 0o710, AGENT, RECEIVER))
    member = member_of(bundle, name)
    if member is None:
        return Part("voter", folders=folders)
    nameless = sorted(node.name for node in _voters(bundle).values() if network(node.reach) is None)
    if nameless:
        warning = f"{', '.join(nameless)} cannot vote: its address must be an IP address, to which etcd can bind."
        return Part("voter", folders=folders, warnings=(warning,))
    # Nothing is started again: what changes here counts for a first start, and two voters at once are a majority.
    settings = WantedFile(SETTINGS, json.dumps({"format": 1, "etcd": CLIENT_URL}) + "\n", 0o600, AGENT, AGENT)
    return Part("voter", (WantedFile(WORDS, render(member)), settings), folders)


def render(voter: Member) -> str:
    """The words of `voter` as systemd splits them: none has a blank in it."""
    _, *words = etcd_argv(voter)
    return f"{HEADING}\nWORDS={' '.join(words)}\n"


def _voters(bundle: Bundle) -> dict[str, Node]:
    """Those who vote and have keys, once they are enough to decide anything."""
    found = {name: member.node for name, member in sorted(bundle.members.items()) if VOTER in member.node.roles}
    return found if bundle.voting.can_sign else {}
