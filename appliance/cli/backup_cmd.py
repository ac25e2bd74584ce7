"""`appliance backup`: start a service, save it, bring it to its peers, continue it elsewhere. One verb, one call."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "accept": Entry(
        "begin_cmd",
        "accept",
        "Take the grant of SERVICE that `backup begin` asked for; from then on this node may write it.",
    ),
    "begin": Entry(
        "begin_cmd",
        "begin",
        "Make the repository and the key of SERVICE on its origin, and the signed request for its first grant.",
    ),
    "confirm": Entry(
        "backup_confirm_cmd",
        "confirm",
        "Say that SERVICE was made smaller on purpose: what its last backup read is the measure from now on.",
    ),
    "drill": Entry(
        "proof_cmd",
        "drill",
        "Restore files of SERVICE for real, on its origin or a standby, compare them and delete them again.",
    ),
    "list": Entry(
        "backup_archives_cmd",
        "list_",
        "List the archives of SERVICE in this node's own repository, oldest first, and what each partial one lacks.",
    ),
    "mend": Entry(
        "proof_cmd",
        "mend",
        "Bring what rotted in this node's own repository of SERVICE back from its peers, by the hash that was sealed.",
    ),
    "push": Entry(
        "backup_run_cmd",
        "push",
        "Bring the newest sealed generation of SERVICE to every peer that has not acknowledged it.",
    ),
    "resync": Entry(
        "resync_cmd",
        "resync",
        "Continue SERVICE from what its peers hold: after a loss, a rollback, a replacement, or on a standby.",
    ),
    "run": Entry("backup_run_cmd", "run", "Back SERVICE up now, bring it to its peers and say how safe it is."),
    "show": Entry(
        "backup_run_cmd",
        "show",
        "Show the newest generation of SERVICE sealed here, who holds it by a receipt, and how safe it is.",
    ),
    "tidy": Entry(
        "backup_archives_cmd",
        "tidy",
        "Forget old archives of this node's own repository of SERVICE and free their space.",
    ),
    "verify": Entry(
        "proof_cmd",
        "verify",
        "Decrypt and check every version of every file of SERVICE, on its origin or a standby; nothing is written.",
    ),
}

backup = LazyGroup(
    "backup",
    entries=VERBS,
    help="The services that this node writes: begin them, back them up, continue them after a loss.",
)
