"""`appliance monitor`: try what tells the maintenance team, before something breaks."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "test-letter": Entry(
        "monitor.letter",
        "send_test_letter",
        "Send a test message to each addressee of this monitoring node, now, and say which server took it, or why not.",
    ),
}

monitor = LazyGroup("monitor", entries=VERBS, help="Try the messages of a monitoring node.")
