"""`appliance lab provision`: the nodes of a lab become what their territory says, by the playbooks of real ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from appliance.cli.arguments import dry_run_option
from appliance.cli.output import emit
from appliance.config.load import load
from appliance.portal.dashboard.targets import ADDRESS, Addresses, addresses
from appliance_lab.cli.decisions import name_option, the_lab
from appliance_lab.hosts import provision as provisioning
from appliance_lab.hosts.control_machine import ControlMachine
from appliance_lab.hosts.lab import Lab, changing
from appliance_lab.hosts.playbook import Played

HERE = 8443
"""The port of this machine at which somebody may open the pages of a node."""


@click.command()
@name_option
@dry_run_option
def provision(name: str, dry_run: bool) -> None:
    """Provision every node of a running lab as its territory says, and print what to type next.

    The control folder with its inventory is in the lab's own folder, next to what real territories keep in a safe. A
    second call changes only what differs.
    """
    lab = the_lab(name)
    control = ControlMachine(lab.own.root)
    if dry_run:
        emit({"lab": name, "inventory": str(control.inventory), "played": []}, f"{name} would be provisioned.")
        return
    with changing(lab.paths, name):
        _, played = provisioning.provision(lab)
    watching = addresses(load(lab.own.root))
    data = [{"playbook": it.name, "changed": it.changed, "seconds": round(it.seconds, 1)} for it in played]
    told = {"lab": name, "inventory": str(control.inventory), "played": data, "watching": [vars(it) for it in watching]}
    emit(told, "\n".join((*_text(lab, control, played), *watching_text(watching, str(lab.own.ssh_config)))))


def _text(lab: Lab, control: ControlMachine, played: tuple[Played, ...]) -> tuple[str, ...]:
    names = [node.name for node in lab.plan.nodes]
    seconds = sum(it.seconds for it in played)
    return (
        f"{len(names)} nodes are provisioned, after {seconds:.0f} s of playbooks. To look at them:",
        f"  ssh -F {lab.own.ssh_config} {names[0]} appliance status",
        f"  bin/appliance lab status --name {lab.plan.lab}",
        "To change them: edit the territory in the control folder, sign it again, and run",
        f"  ansible-playbook -i {control.inventory} playbooks/site.yml",
        f"To end it: bin/appliance lab down --name {lab.plan.lab}",
    )


def watching_text(watching: Sequence[Addresses], ssh_config: str) -> Iterator[str]:
    """Where what watches the territory is seen. This machine is in no site's network: SSH brings a listener here."""
    for it in watching:
        here = f"ssh -F {ssh_config} -N -L {HERE}:localhost:443 {it.node}"
        yield f"The dashboard of {it.node}, for members of its group regie: {it.dashboard}"
        yield f"  from this machine: {here}, then https://localhost:{HERE}{ADDRESS}"
        yield f"Prometheus of {it.node}, for clients with the certificate of a monitoring node: {it.prometheus}"
