"""`appliance failover`: what a node does when another dies or is cut off; so far in process mode."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "run": Entry(
        "failover_run_cmd", "run", "Serve this node's services until SIGTERM: take over, hand over, stop in time."
    ),
    "broker": Entry("failover_run_cmd", "broker", "Run this voter's broker until SIGTERM."),
    "check": Entry(
        "failover_check_cmd",
        "check",
        "Judge the history in FILE: was there ever a second writer, was anything lost, did it come back in time?",
    ),
    "table": Entry(
        "failover_table_cmd",
        "table_",
        "Print the table of transitions, of all states or of each STATE: when, what is done, what comes next, and why.",
    ),
}

failover = LazyGroup("failover", entries=VERBS, help="What a node does when another dies or is cut off, and why.")
