"""`appliance failover`: what a node does when another dies or is cut off."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "status": Entry(
        "failover.status",
        "status",
        "Show the lease holder and the writer of each service, and the state of failover on this node.",
    ),
    "history": Entry(
        "failover.status",
        "history",
        "List the takeovers and releases of SERVICE that the voters recorded, newest first.",
    ),
    "move": Entry(
        "failover.move",
        "move",
        "Move SERVICE to NODE: its lease holder backs up, stops and releases the lease, and NODE takes over.",
    ),
    "handback": Entry(
        "failover.move",
        "handback",
        "Hand SERVICE back to its origin, once the origin has had all that was written elsewhere for five minutes.",
    ),
    "evacuate": Entry(
        "failover.move",
        "evacuate",
        "Move every service held in ZONE to its first candidate outside: before a flood or a power cut.",
    ),
    "pause": Entry(
        "failover.move",
        "pause",
        "Suspend automatic takeovers of SERVICE for some minutes, for maintenance.",
    ),
    "promote": Entry(
        "failover.act",
        "promote",
        "Make this node the writer of SERVICE, in place of any other: its origin is lost or unreachable (needs a "
        "signed act).",
    ),
    "quarantine": Entry(
        "failover.act",
        "quarantine",
        "Quarantine NODE: stop its movable services and reject its leases and votes (needs a signed act).",
    ),
    "merge": Entry(
        "failover.merge",
        "merge",
        "Merge a branch of SERVICE that this node wrote alone; where both sides changed a file, keep both versions.",
    ),
    "run": Entry("internal.failover.run", "run", now="internal failover run"),
    "broker": Entry("internal.failover.broker", "broker", now="internal failover broker"),
    "check": Entry("appliance_lab.cli.check_cmd", "check", now="lab check"),
    "table": Entry(
        "failover.table",
        "table_",
        "Print the table of transitions, for all states or for each STATE: condition, action, next state and reason.",
    ),
}

failover = LazyGroup(
    "failover", entries=VERBS, help="Move services between nodes after a failure, a flood warning or by hand."
)
