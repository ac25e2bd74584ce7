"""`appliance vault`: what this node holds for others. Nothing here removes a generation but thinning, by its rule."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "ask": Entry(
        "vault_peers_cmd",
        "ask",
        "Ask the vault of each PEER, by default of all, for a word: over the network, through its door, to its end.",
    ),
    "exchange": Entry(
        "vault_peers_cmd",
        "exchange",
        "Compare what is held here, of SERVICE or of all, with the other holders, and bring each what it lacks.",
    ),
    "list": Entry(
        "vault_list_cmd",
        "list_",
        "List the services held here, or SERVICE only: how many generations, the newest, the room they take.",
    ),
    "repair": Entry(
        "vault_care_cmd",
        "repair",
        "Bring back what is known to be rotten or gone, of SERVICE or of all, from whichever other holder has it.",
    ),
    "replicate": Entry(
        "vault_list_cmd",
        "replicate",
        "Hand every generation of SERVICE held here on to another holder, still sealed; the acts in force go along.",
    ),
    "scrub": Entry(
        "vault_care_cmd",
        "scrub",
        "Read what is held here again, of SERVICE or of all: signatures and chain, then every file against its hash.",
    ),
    "show": Entry(
        "vault_list_cmd",
        "show",
        "Show every generation of SERVICE that this node knows, and whether its files are here.",
    ),
    "thin": Entry(
        "vault_care_cmd",
        "thin",
        "Let go of the generations, of SERVICE or of all, that retention no longer keeps; younger than its lock none.",
    ),
}

vault = LazyGroup(
    "vault", entries=VERBS, help="What this node holds for others, sealed and, unless it is a standby, unreadable here."
)
