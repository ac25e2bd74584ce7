"""Bare machines become nodes by the playbooks, and stay as they are when these are run again."""

from __future__ import annotations

from appliance_lab.hosts.playbook import play
from appliance_lab.hosts.provision import provision
from appliance_lab.stories.context import StoryContext
from appliance_lab.story import require


def provisioned(context: StoryContext) -> str:
    """First contact by fingerprint, bootstrap, keys signed, site, grants, site."""
    lab = context.lab
    control, played = provision(lab)
    for node in lab.plan.nodes:
        shown = context.json(node.name, "node", "show")
        require(bool(shown["in_bundle"]), f"{node.name} is not in the bundle in force on it.")
        require(shown["node"] == node.name, f"{node.name} says that it is {shown['node']}.")
        running = context.did(node.name, "systemctl", "is-active", "appliance-agent.service").strip()
        require(running == "active", f"the agent of {node.name} is {running}.")
    runs = ", ".join(f"{it.name} {it.seconds:.0f} s" for it in played)
    return (
        f"{len(lab.plan.nodes)} nodes with keys made on them, {len(control.keys)} collected and signed for; {runs}, "
        f"{sum(it.seconds for it in played):.0f} s in all"
    )


def second_run(context: StoryContext) -> str:
    """A run of site that finds everything as it should be changes nothing."""
    played = play(context.control, "site")
    require(played.exit_code == 0, f"it ended with {played.exit_code}: {played.tail()}")
    require(len(played.recap) == len(context.lab.plan.nodes), f"it reached {sorted(played.recap)} only.")
    require(played.changed == 0, f"it changed {played.changed} things: see {context.control.root / 'site.log'}")
    return f"changed=0 on {len(played.recap)} nodes, in {played.seconds:.0f} s"
