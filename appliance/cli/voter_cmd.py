"""`appliance voter`: those who agree on who holds a service, as a majority of them knows them."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "restore": Entry(
        "voter_restore_cmd",
        "restore_",
        "Make the voter on this node anew from COPY, after most or all of them lost their disks.",
    ),
    "settle": Entry(
        "voter_settle_cmd", "settle_", "Make the list of voters what the bundle says: strangers out, new ones in."
    ),
    "show": Entry("voter_settle_cmd", "show", "Show the voters as a majority of them knows them, and who leads."),
}

voter = LazyGroup("voter", entries=VERBS, help="Who votes on who holds a service, as the voter on this node knows it.")
