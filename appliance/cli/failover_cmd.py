"""`appliance failover`: what a node does when another dies or is cut off. Nothing here changes anything yet."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
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
