"""`appliance territory`: check, show, plan and sign `territory.yml`, and ask its nodes how they are."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "check": Entry(
        "territory.look",
        "check",
        "List every mistake in FILE, or in territory.yml of DIR, with its line; then the events that destroy all "
        "copies.",
    ),
    "duty": Entry("territory.duty", "duty", "Show who answers alerts this week and in the next ones."),
    "grant": Entry(
        "territory.grant",
        "grant",
        "Grant the next epoch to the node that signed REQUEST, after showing the node, the service and the reason.",
    ),
    "plan": Entry(
        "territory.look",
        "plan",
        "Show where each service's copies go and why, what would move, what each service survives, and the voters.",
    ),
    "schema": Entry(
        "territory.look",
        "schema",
        "Print the JSON Schema of territory.yml, by which an editor completes and checks it.",
    ),
    "show": Entry(
        "territory.look", "show", "Show nodes with their zones, services, and the acts that each person may sign."
    ),
    "sign": Entry(
        "territory.sign",
        "sign",
        "Sign PLAN (territory.yml or its folder) with the keys collected from its nodes, as their next bundle.",
    ),
    "status": Entry(
        "territory.status",
        "status",
        "Ask every node how it is, all at once, and show them on one page, the worst first.",
    ),
}

territory = LazyGroup(
    "territory",
    entries=VERBS,
    help="Check, plan and sign the territory: sites, services, failure domains, where copies go; show its nodes.",
)
