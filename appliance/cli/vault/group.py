"""`appliance vault`: what this node holds for others. Nothing here removes a generation but pruning, by its rule."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "ping": Entry(
        "vault.peers",
        "ping",
        "Ask the vault of each PEER, by default of all, for an answer: over the network, through its sshd.",
    ),
    "ask": Entry("vault.peers", "ping", now="vault ping"),
    "exchange": Entry(
        "vault.peers",
        "exchange",
        "Compare the replicas here, of SERVICE or of all, with the other replica nodes, and send each what it lacks.",
    ),
    "list": Entry(
        "vault.list",
        "list_",
        "List the replicas here, or that of SERVICE only: number of generations, the newest, space used.",
    ),
    "repair": Entry(
        "vault.care",
        "repair",
        "Replace files known to be corrupt or missing, of SERVICE or of all, by copies from other replica nodes.",
    ),
    "replicate": Entry(
        "vault.list",
        "replicate",
        "Copy every generation of SERVICE held here to another replica node, still sealed, with the acts in force.",
    ),
    "scrub": Entry(
        "vault.care",
        "scrub",
        "Read the replicas here again, of SERVICE or of all: signatures and chain, then every file against its hash.",
    ),
    "show": Entry(
        "vault.list",
        "show",
        "Show every generation of SERVICE that this node knows, and whether its files are here.",
    ),
    "prune": Entry(
        "vault.care",
        "prune",
        "Remove the generations, of SERVICE or of all, that retention no longer keeps; none younger than its lock.",
    ),
    "thin": Entry("vault.care", "prune", now="vault prune"),
}

vault = LazyGroup(
    "vault",
    entries=VERBS,
    help="List, scrub and repair the replicas here: sealed and, except at a standby, unreadable.",
)
