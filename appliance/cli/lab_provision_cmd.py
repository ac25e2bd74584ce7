"""`appliance lab provision`: the nodes of a lab become what their territory says, by the playbooks of real ones."""

from __future__ import annotations

import click

from appliance.cli.arguments import dry_run_option
from appliance.cli.lab_decisions import name_option
from appliance.cli.output import emit, say
from appliance.lab.hosts import provision as provisioning
from appliance.lab.hosts.desk import Desk
from appliance.lab.hosts.lab import Lab, changing, open_lab
from appliance.lab.hosts.places import Places
from appliance.lab.hosts.playbook import Played


@click.command()
@name_option
@dry_run_option
def provision(name: str, dry_run: bool) -> None:
    """Make every node of a lab that is up what its territory says, and say what to type next.

    The control folder with its inventory lies in the lab's own folder, and what real territories keep in a safe beside
    it. Called again it changes what differs, which is nothing where nothing was changed.
    """
    lab = open_lab(Places(), name, say)
    desk = Desk(lab.own.root)
    if dry_run:
        emit({"lab": name, "inventory": str(desk.inventory), "played": []}, f"{name} would be provisioned.")
        return
    with changing(lab.places, name):
        _, played = provisioning.provision(lab)
    data = [{"playbook": it.name, "changed": it.changed, "seconds": round(it.seconds, 1)} for it in played]
    emit({"lab": name, "inventory": str(desk.inventory), "played": data}, _text(lab, desk, played))


def _text(lab: Lab, desk: Desk, played: tuple[Played, ...]) -> str:
    names = [node.name for node in lab.plan.nodes]
    seconds = sum(it.seconds for it in played)
    return "\n".join(
        (
            f"{len(names)} nodes are what their territory says, after {seconds:.0f} s of playbooks. To look at them:",
            f"  ssh -F {lab.own.ssh_config} {names[0]} appliance status",
            f"  bin/appliance lab status --name {lab.plan.lab}",
            "To change them: edit the territory in the control folder, sign it again, and run",
            f"  ansible-playbook -i {desk.inventory} playbooks/site.yml",
            f"To end it: bin/appliance lab down --name {lab.plan.lab}",
        )
    )
