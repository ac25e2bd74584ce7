"""`appliance restore`: find a file by name and bring it, a folder or everything back; nothing it replaces is lost."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "all": Entry("restore.path", "all_", "Restore all files of a service."),
    "detect-attack": Entry(
        "restore.detect_attack",
        "detect_attack",
        "Report when many files were rewritten within minutes, and the last archive before that.",
    ),
    "attack": Entry("restore.detect_attack", "detect_attack", now="restore detect-attack"),
    "carry": Entry("internal.restore.process_requests", "process_requests", now="internal restore process-requests"),
    "file": Entry(
        "restore.path", "file", "Restore the file PATH, by default its newest version, even if it was deleted."
    ),
    "find": Entry(
        "restore.find",
        "find",
        "Find the files whose path contains all words of TERM, in any version; accents and case do not matter.",
    ),
    "folder": Entry(
        "restore.path",
        "folder",
        "Restore the folder PATH and its content from the newest archive that has it.",
    ),
    "forget": Entry("internal.restore.expire", "expire", now="internal restore expire"),
    "give-up": Entry(
        "restore.path",
        "give_up",
        "Give up the unfinished restore JOB: remove what it put in place and put back what was there.",
    ),
    "jobs": Entry(
        "restore.path",
        "jobs_",
        "List the restores of this node, oldest first; each can be undone for 30 days, and an interrupted one "
        "finished or given up.",
    ),
    "node": Entry(
        "restore.node",
        "node",
        "Restore every service of which this node is the origin, one after another, on a replaced machine.",
    ),
    "undo": Entry(
        "restore.path",
        "undo",
        "Put back what the restore JOB replaced in place, and remove what it created; both are kept.",
    ),
    "versions": Entry(
        "restore.find", "versions", "List every version of this exact PATH, numbered from 1, the newest."
    ),
}

restore = LazyGroup(
    "restore",
    entries=VERBS,
    help="Find a file by name in all versions and restore it, a folder or everything, from the best copy.",
)
