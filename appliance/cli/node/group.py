"""`appliance node`: make this node, show it, give it the territory bundle it lives by."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "accept": Entry(
        "node.bundle",
        "accept",
        "Put the signed BUNDLE in force on this node, and admit the nodes that it names to our vault.",
    ),
    "apply": Entry(
        "node.apply",
        "apply",
        "Configure this host as its bundle says: names, firewall, mesh, accounts of vaults, voter, exporters.",
    ),
    "collect": Entry("node.collect", "collect", "Collect the public keys of the nodes, by default all, into DIR/keys."),
    "door": Entry(
        "node.bundle",
        "door",
        "Write the settings of this node's own sshd, with the address and port of the bundle, and print how to start "
        "it.",
    ),
    "init": Entry(
        "node.init",
        "init",
        "Make this machine the node NAME: create its keys and pin the territory key.",
    ),
    "keys": Entry(
        "node.init",
        "keys",
        "Print this node's public keys as JSON, for `appliance territory sign --keys`.",
    ),
    "leave": Entry(
        "node.leave",
        "leave",
        "Check whether this node may leave: each service that it holds must be as safe without it.",
    ),
    "meet": Entry(
        "node.meet",
        "meet",
        "Compare the host key of NODE with the fingerprint on its screen; then log in and record the key.",
    ),
    "mesh": Entry(
        "node.mesh",
        "mesh",
        "Configure the interface of the mesh as its file says, without cutting sessions that stay.",
    ),
    "revoke": Entry(
        "node.revoke",
        "revoke",
        "Revoke the keys of NODE, which was stolen or compromised, in the next signed bundle.",
    ),
    "rotate": Entry("node.rotate", "rotate", "Create a new key of KIND on this node."),
    "settle": Entry(
        "node.settle",
        "settle",
        "Set this host up as the node NAME: its folder --state, /etc/appliance, its keys, its bundle.",
    ),
    "show": Entry(
        "node.bundle",
        "show",
        "Show this node: its identity, its bundle, and the services that it writes, may open and holds.",
    ),
    "snapshot": Entry(
        "node.snapshot",
        "snapshot",
        "Take read-only snapshots: of shares hourly for 48 hours and daily for 35 days, of replicas daily for 7 days.",
    ),
}

node = LazyGroup(
    "node",
    entries=VERBS,
    help="Set up this node: its keys, which are made here and never leave it, its bundle and its sshd.",
)
