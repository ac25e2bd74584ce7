"""`appliance internal`: what units, timers, playbooks and the pages type. People read `docs/reference/commands.md`."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

NODE = {
    "apply": Entry(
        "internal.node.apply",
        "apply",
        "Configure this host as its bundle says: names, firewall, mesh, accounts of vaults, voter, exporters.",
    ),
    "keys": Entry(
        "internal.node.keys",
        "keys",
        "Print this node's public keys as JSON, for `territory sign --keys`.",
    ),
    "mesh": Entry(
        "internal.node.mesh",
        "mesh",
        "Configure the interface of the mesh as its file says, without cutting sessions that stay.",
    ),
    "rotate": Entry("internal.node.rotate", "rotate", "Create a new key of KIND on this node."),
    "setup": Entry(
        "internal.node.setup",
        "setup",
        "Set this host up as the node NAME: its folder --state, /etc/appliance, its keys, its bundle.",
    ),
    "snapshot": Entry(
        "internal.node.snapshot",
        "snapshot",
        "Take read-only snapshots: of shares hourly for 48 hours and daily for 35 days, of replicas daily for 7 days.",
    ),
    "sshd": Entry(
        "internal.node.sshd",
        "sshd",
        "Write the settings of this node's own sshd, with the address and port of the bundle, and print how to start "
        "it.",
    ),
}
ACCOUNT = {
    "sync": Entry(
        "internal.account",
        "sync",
        "Synchronise this machine's accounts and Samba's passwords with the account store.",
    ),
}
FAILOVER = {
    "broker": Entry(
        "internal.failover.broker",
        "broker",
        "Run this voter's broker until SIGTERM: it answers the nodes in front of etcd and signs grants that it "
        "verified.",
    ),
    "run": Entry(
        "internal.failover.run",
        "run",
        "Run this node's services until SIGTERM: take over, hand over and stop in time, by the table of transitions.",
    ),
}
PKI = {
    "accept": Entry(
        "internal.pki",
        "accept",
        "Install the certificate chain in the file CHAIN on this node, with the list of revoked certificates.",
    ),
    "csr": Entry(
        "internal.pki", "csr", "Print the certificate request of this node, signed by the TLS key that was made here."
    ),
    "due": Entry(
        "internal.pki", "due", "List the nodes that need a certificate, and whether the list of revoked ones is due."
    ),
    "issue": Entry("internal.pki", "issue", "Issue what is due; the intermediate's key is read from standard input."),
}
PORTAL = {
    "serve": Entry("internal.portal", "serve", "Serve the pages until SIGTERM."),
    "work": Entry(
        "internal.portal_work",
        "work_",
        "Carry out the requests of the pages until SIGTERM: open services, update their catalogues, restore, undo.",
    ),
}
RESTORE = {
    "expire": Entry(
        "internal.restore.expire",
        "expire",
        "Remove what restores replaced at least 30 days ago, counted in days that this machine was up.",
    ),
    "process-requests": Entry(
        "internal.restore.process_requests",
        "process_requests",
        "Carry out the restore requests of the pages; interrupted ones are continued.",
    ),
}
VOTER = {
    "sync-members": Entry(
        "internal.voter",
        "sync_members",
        "Bring the voters' member list one step nearer to the bundle: remove unknown members, add one new one.",
    ),
}

node = LazyGroup("node", entries=NODE, help="Configure this host as a node, and show or renew its keys.")
account = LazyGroup("account", entries=ACCOUNT, help="Keep the machine's accounts as the account store has them.")
failover = LazyGroup("failover", entries=FAILOVER, help="Run the programs that move services.")
pki = LazyGroup("pki", entries=PKI, help="Request, issue and install the TLS certificates of the nodes.")
portal = LazyGroup("portal", entries=PORTAL, help="Run the pages and their worker.")
restore = LazyGroup("restore", entries=RESTORE, help="Process restore requests, and remove what is past its time.")
voter = LazyGroup("voter", entries=VOTER, help="Maintain the voters.")

GROUPS = {
    "agent": Entry(
        "internal.agent",
        "agent",
        "Run this node's agent until SIGTERM: it backs up, pushes, verifies and repairs by itself.",
    ),
    "node": Entry("internal.group", "node", node.help or ""),
    "account": Entry("internal.group", "account", account.help or ""),
    "failover": Entry("internal.group", "failover", failover.help or ""),
    "pki": Entry("internal.group", "pki", pki.help or ""),
    "portal": Entry("internal.group", "portal", portal.help or ""),
    "restore": Entry("internal.group", "restore", restore.help or ""),
    "voter": Entry("internal.group", "voter", voter.help or ""),
}

internal = LazyGroup(
    "internal",
    entries=GROUPS,
    help="Commands that units, timers, playbooks and the pages run. A person needs one only where no playbook runs.",
)
