"""`appliance portal`: the pages on which people get their files back, and the journal of who did what."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "journal": Entry(
        "portal.journal",
        "journal",
        "Show the journal of the pages: sign-ins, searches, views and restores, in tamper-evident chains.",
    ),
    "serve": Entry("internal.portal", "serve", now="internal portal serve"),
    "work": Entry("internal.portal_work", "work_", now="internal portal work"),
}

portal = LazyGroup(
    "portal",
    entries=VERBS,
    help="Show the journal of the pages on which people restore their files. Accounts: `appliance account`.",
)
