"""`appliance monitor`: try the messages of alerts before something breaks, and take care of an alert."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "acknowledge": Entry(
        "monitor.acknowledge",
        "acknowledge",
        "Say that you take care of each ALERT, so that the next person on duty is not called for 24 hours.",
    ),
    "test-letter": Entry(
        "monitor.letter",
        "send_test_letter",
        "Send a test message to each addressee of this monitoring node, now, and say which server took it, or why not.",
    ),
}

monitor = LazyGroup("monitor", entries=VERBS, help="Try the messages of a monitoring node, and take care of an alert.")
