"""`appliance territory`: check, show and plan `territory.yml`, and sign it. Only `sign` and `grant` write anything."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "check": Entry(
        "territory_look_cmd",
        "check",
        "Name every mistake in FILE, or in territory.yml of DIR, with its line; then what no copy survives.",
    ),
    "grant": Entry(
        "territory_grant_cmd",
        "grant",
        "Grant the next epoch to the node that signed REQUEST, after showing who asks, for what and why.",
    ),
    "plan": Entry(
        "territory_look_cmd",
        "plan",
        "Show where each service's copies go and why, what that would move, what each survives, and who votes.",
    ),
    "show": Entry("territory_look_cmd", "show", "Show nodes with their zones, services, and who may sign which acts."),
    "sign": Entry(
        "territory_sign_cmd",
        "sign",
        "Sign PLAN (territory.yml or its folder) with the keys collected from its nodes: the bundle they will live by.",
    ),
}

territory = LazyGroup(
    "territory",
    entries=VERBS,
    help="Sites, services and failure domains; where copies go, and what survives which event.",
)
