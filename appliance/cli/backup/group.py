"""`appliance backup`: start a service, save it, bring it to its peers, continue it elsewhere. One verb, one call."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "accept": Entry(
        "backup.begin",
        "accept",
        "Install the grant of SERVICE that `backup begin` asked for; from then on this node may write SERVICE.",
    ),
    "begin": Entry(
        "backup.begin",
        "begin",
        "Create the repository and the key of SERVICE on its origin, and a signed request for its first grant.",
    ),
    "confirm": Entry(
        "backup.confirm",
        "confirm",
        "Confirm that SERVICE was made smaller on purpose: later backups are compared with its last backup.",
    ),
    "drill": Entry(
        "backup.proof",
        "drill",
        "Restore files of SERVICE on its origin or a standby, compare them with what was saved and delete them again.",
    ),
    "list": Entry(
        "backup.archives",
        "list_",
        "List the archives of SERVICE in this node's own repository, oldest first, and what each partial one lacks.",
    ),
    "repair": Entry(
        "backup.proof",
        "repair",
        "Replace corrupt files in this node's own repository of SERVICE by copies from its peers, checked by their "
        "hash.",
    ),
    "mend": Entry("backup.proof", "repair", now="backup repair"),
    "push": Entry(
        "backup.run",
        "push",
        "Send the newest sealed generation of SERVICE to every peer that has not acknowledged it.",
    ),
    "resync": Entry(
        "backup.resync",
        "resync",
        "Continue SERVICE from a generation of its peers: after a loss, a rollback, a replacement, or on a standby.",
    ),
    "run": Entry("backup.run", "run", "Back SERVICE up now, send it to its peers and report how safe it is."),
    "show": Entry(
        "backup.run",
        "show",
        "Show the newest generation of SERVICE sealed here, its receipts, and how safe it is.",
    ),
    "prune": Entry(
        "backup.archives",
        "prune",
        "Delete old archives from this node's own repository of SERVICE and free their space.",
    ),
    "tidy": Entry("backup.archives", "prune", now="backup prune"),
    "verify": Entry(
        "backup.proof",
        "verify",
        "Decrypt and check every version of every file of SERVICE, on its origin or a standby; nothing is written.",
    ),
}

backup = LazyGroup(
    "backup",
    entries=VERBS,
    help="Back up the services that this node writes; begin them, and continue them after a loss.",
)
