"""`appliance voter`: those who agree on who holds a service, as a majority of them knows them."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "restore": Entry(
        "voter.restore",
        "restore_",
        "Recreate the voter on this node from COPY, after most or all voters lost their disks.",
    ),
    "settle": Entry("internal.voter", "sync_members", now="internal voter sync-members"),
    "show": Entry("voter.show", "show", "Show the voters as a majority of them knows them, and the leader."),
}

voter = LazyGroup(
    "voter", entries=VERBS, help="Show and maintain the voters, which record the lease holder of each service."
)
