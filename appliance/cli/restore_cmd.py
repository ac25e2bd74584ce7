"""`appliance restore`: find a file by name and bring it, a folder or everything back; nothing it replaces is lost."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "all": Entry("restore_path_cmd", "all_", "Bring everything of a service back."),
    "attack": Entry(
        "restore_attack_cmd",
        "attack",
        "Say when many files were rewritten within minutes, and which archive was the last before it.",
    ),
    "carry": Entry(
        "restore_order_cmd",
        "carry",
        "Carry out the restores that people asked for in the portal; what was cut goes on.",
    ),
    "file": Entry(
        "restore_path_cmd", "file", "Bring the file PATH back, by default its newest version, also when it was deleted."
    ),
    "find": Entry(
        "restore_find_cmd",
        "find",
        "Find every file whose path holds all words of TERM, in any version; accents and case do not matter.",
    ),
    "folder": Entry(
        "restore_path_cmd",
        "folder",
        "Bring the folder PATH back with all in it, as it was in the newest archive that has it.",
    ),
    "forget": Entry(
        "restore_path_cmd",
        "forget",
        "Remove what restores replaced 30 days ago or earlier, counted in days that this machine was up.",
    ),
    "give-up": Entry(
        "restore_path_cmd",
        "give_up",
        "Give up the restore JOB, which has not ended: what it had put in place goes, and what stood there comes back.",
    ),
    "jobs": Entry(
        "restore_path_cmd",
        "jobs_",
        "List the restores of this node, oldest first; each can be undone for 30 days, and one that was cut ended or "
        "given up.",
    ),
    "node": Entry(
        "restore_node_cmd",
        "node",
        "Bring back everything of which this node is the origin, each service in turn, "
        "for a machine that was replaced.",
    ),
    "undo": Entry(
        "restore_path_cmd",
        "undo",
        "Put back what the restore JOB replaced in place, and take away what it made; both are kept, too.",
    ),
    "versions": Entry(
        "restore_find_cmd", "versions", "List every version of exactly this PATH, numbered from 1, the newest."
    ),
}

restore = LazyGroup(
    "restore",
    entries=VERBS,
    help="Find a file by name over all versions and bring it, a folder or everything back, "
    "from the best copy there is.",
)
