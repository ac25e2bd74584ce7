"""`appliance portal`: the pages on which people get their files back, and the journal of who did what."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "journal": Entry(
        "portal_journal_cmd",
        "journal",
        "Who signed in, looked for, saw and brought back what on the pages: chains that nobody changes unseen.",
    ),
    "serve": Entry("portal_serve_cmd", "serve", "Serve the pages until SIGTERM."),
    "work": Entry(
        "portal_serve_cmd",
        "work_",
        "Do what the pages ask for, until SIGTERM: open services, keep their names current, restore, undo.",
    ),
}

portal = LazyGroup(
    "portal",
    entries=VERBS,
    help="The pages on which people of a town hall get their files back by themselves. Accounts: `appliance account`.",
)
