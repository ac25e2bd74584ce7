"""`appliance node`: make this node, show it, give it the territory bundle in force on it."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "accept": Entry(
        "node.bundle",
        "accept",
        "Put the signed BUNDLE in force on this node, and admit the nodes that it names to our vault.",
    ),
    "apply": Entry("internal.node.apply", "apply", now="internal node apply"),
    "collect": Entry("node.collect", "collect", "Collect the public keys of the nodes, by default all, into DIR/keys."),
    "door": Entry("internal.node.sshd", "sshd", now="internal node sshd"),
    "init": Entry(
        "node.init",
        "init",
        "Make this machine the node NAME: create its keys and pin the territory key.",
    ),
    "keys": Entry("internal.node.keys", "keys", now="internal node keys"),
    "leave": Entry(
        "node.leave",
        "leave",
        "Check whether this node may leave: each service that it holds must be as safe without it.",
    ),
    "trust-host-key": Entry(
        "node.trust_host_key",
        "trust_host_key",
        "Compare the host key of NODE with the fingerprint on its screen; then log in and record the key.",
    ),
    "meet": Entry("node.trust_host_key", "trust_host_key", now="node trust-host-key"),
    "mesh": Entry("internal.node.mesh", "mesh", now="internal node mesh"),
    "revoke": Entry(
        "node.revoke",
        "revoke",
        "Revoke the keys of NODE, which was stolen or compromised, in the next signed bundle.",
    ),
    "rotate": Entry("internal.node.rotate", "rotate", now="internal node rotate"),
    "settle": Entry("internal.node.setup", "setup", now="internal node setup"),
    "show": Entry(
        "node.bundle",
        "show",
        "Show this node: its identity, its bundle, and the services that it writes, may open and holds.",
    ),
    "snapshot": Entry("internal.node.snapshot", "snapshot", now="internal node snapshot"),
}

node = LazyGroup(
    "node",
    entries=VERBS,
    help="Set up this node: its keys, which are made here and never leave it, its bundle and its sshd.",
)
