"""`appliance node`: make this node, show it, give it the territory bundle it lives by."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "accept": Entry(
        "node_bundle_cmd",
        "accept",
        "Live by the signed territory in the file BUNDLE from now on, and let its nodes talk to our vault.",
    ),
    "apply": Entry(
        "node_apply_cmd",
        "apply",
        "Make this host what its bundle says: names, firewall, mesh, accounts of vaults, voter, exporters.",
    ),
    "collect": Entry(
        "node_collect_cmd", "collect", "Ask the nodes, by default all, for their public keys and keep them in DIR/keys."
    ),
    "door": Entry(
        "node_bundle_cmd",
        "door",
        "Write the settings of this node's own sshd, at the address and port of the bundle, and say how to start it.",
    ),
    "init": Entry(
        "node_init_cmd",
        "init",
        "Make this machine the node NAME: its keys, and the territory key that it will believe for ever.",
    ),
    "keys": Entry(
        "node_init_cmd",
        "keys",
        "Print this node's public keys as JSON, to be collected for `appliance territory sign --keys`.",
    ),
    "leave": Entry(
        "node_leave_cmd",
        "leave",
        "Say whether this node may leave: whether each service that it holds is as safe without it.",
    ),
    "meet": Entry(
        "node_meet_cmd",
        "meet",
        "Compare the host key of NODE with the fingerprint on its screen; then log in, and remember the key.",
    ),
    "mesh": Entry(
        "node_mesh_cmd", "mesh", "Make the interface of the mesh what its file says; sessions that stay are not cut."
    ),
    "revoke": Entry(
        "node_revoke_cmd",
        "revoke",
        "Take back the keys of NODE, which was stolen or is in somebody else's hands, in the next signed bundle.",
    ),
    "rotate": Entry("node_rotate_cmd", "rotate", "Make another key of KIND on this node."),
    "settle": Entry(
        "node_settle_cmd",
        "settle",
        "Make this host the node NAME: its folder --state, what root says in /etc/appliance, its keys, its bundle.",
    ),
    "show": Entry(
        "node_bundle_cmd", "show", "Show who this node is, its bundle, and what it writes, may open and holds."
    ),
    "snapshot": Entry(
        "node_snapshot_cmd",
        "snapshot",
        "Keep read-only snapshots: of the shares hourly for 48 hours and daily for 35 "
        "days, of copies held daily for 7.",
    ),
}

node = LazyGroup(
    "node",
    entries=VERBS,
    help="This node: its keys, which are born here and never leave, and the territory it belongs to.",
)
