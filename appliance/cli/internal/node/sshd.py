"""`appliance internal node sshd`: the settings of this node's own sshd, where no role made them."""

from __future__ import annotations

import shlex

import click

from appliance.cli.arguments import dry_run_option
from appliance.cli.output import emit, say
from appliance.cli.this_layout import this_layout
from appliance.host.network.ssh import write_server_config
from appliance.membership.sshd import write_sshd_config
from appliance.node.handle import open_node


@click.command()
@dry_run_option
def sshd(dry_run: bool) -> None:
    """Write the settings of this node's own sshd, with the address and port of the bundle, and print how to start it.

    This sshd admits only the nodes of the bundle, and only to our vault. It runs as the account of the node.
    """
    opened = open_node(this_layout().root)
    plan = opened.bundle.member(opened.name).node
    folder, host_key = opened.layout.run, opened.layout.keys / "host_ed25519"
    path = folder / "sshd_config"
    if not dry_run:
        write_sshd_config(opened)
        path = write_server_config(folder, address=plan.address, port=plan.port, host_key=host_key)
    start = shlex.join(("/usr/sbin/sshd", "-f", str(path), "-E", str(folder / "sshd.log")))
    shown = {"config": str(path), "address": plan.address, "port": plan.port, "start": start, "written": not dry_run}
    emit(shown, f"{path}: sshd of {opened.name} on {plan.address}:{plan.port}.")
    if not dry_run:
        say(f"Next: {start}")
