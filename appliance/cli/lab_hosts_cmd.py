"""`appliance lab up` and its kin: a territory as real hosts on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import click

from appliance.cli.arguments import NAME_TYPE, dry_run_option
from appliance.cli.output import emit, say, table
from appliance.lab.hosts import lab as labs
from appliance.lab.hosts import machine
from appliance.lab.hosts.access import answers
from appliance.lab.hosts.lab import Lab, changing, open_lab
from appliance.lab.hosts.places import Places

DEFAULT_NAME = "lab"
INVENTORY = Path("inventory/lab")

name_option = click.option("--name", default=DEFAULT_NAME, show_default=True, help="Which lab of this machine.")
node_argument = click.argument("node", type=NAME_TYPE)


@click.command()
@click.option("--inventory", metavar="DIR", type=click.Path(path_type=Path), default=INVENTORY, show_default=True)
@name_option
@dry_run_option
def up(inventory: Path, name: str, dry_run: bool) -> None:
    """Boot every node of a territory as a Debian host; those that run are left as they are."""
    lab = labs.up(Places(), name, inventory, say)
    say(f"All {len(lab.plan.nodes)} nodes answer. Next: ssh -F {lab.own.ssh_config} {lab.plan.nodes[0].name}")


@click.command()
@name_option
def status(name: str) -> None:
    """Say how each node is."""
    lab = open_lab(Places(), name, say)
    rows = [(node.name, node.site, str(node.address), _state(lab, node.name)) for node in lab.plan.nodes]
    found = [dict(zip(("node", "site", "address", "state"), row, strict=True)) for row in rows]
    emit(
        {"lab": name, "nodes": found, "backends": dict(lab.state.backends), "ssh_config": str(lab.own.ssh_config)},
        table(("NODE", "SITE", "ADDRESS", "STATE"), rows),
    )


@click.command(context_settings={"ignore_unknown_options": True})
@node_argument
@click.argument("words", metavar="-- CMD", nargs=-1, required=True, type=click.UNPROCESSED)
@name_option
def exec_(node: str, words: tuple[str, ...], name: str) -> None:
    """Run CMD as root on NODE, from its console side: also when no network reaches it."""
    lab = open_lab(Places(), name, say)
    argv = machine.enter_argv(lab.plan.node(node), words)
    os.execvp(argv[0], argv)


@click.command()
@node_argument
@name_option
def shell(node: str, name: str) -> None:
    """Open a shell as root on NODE, from its console side."""
    lab = open_lab(Places(), name, say)
    argv = machine.enter_argv(lab.plan.node(node), ("bash", "-l"))
    os.execvp(argv[0], argv)


@click.command()
@node_argument
@click.option("--cut", is_flag=True, help="Cut its power instead of asking it to stop.")
@name_option
def power_off(node: str, cut: bool, name: str) -> None:
    """Switch NODE off; its disk stays."""
    lab = open_lab(Places(), name, say)
    with changing(lab.places, name):
        (machine.cut_power if cut else machine.shut_down)(lab.plan.node(node))
    say(f"{node} is off.")


@click.command()
@node_argument
@name_option
def power_on(node: str, name: str) -> None:
    """Switch NODE on and wait until it answers."""
    lab = open_lab(Places(), name, say)
    with changing(lab.places, name):
        labs.power_on(lab, lab.plan.node(node))
        labs.wait_for_ssh(lab, (lab.plan.node(node),))


@click.command()
@node_argument
@name_option
@dry_run_option
def wipe(node: str, name: str, dry_run: bool) -> None:
    """Take the disk of NODE and switch on a new box in its place, with only root SSH and new host keys."""
    lab = open_lab(Places(), name, say)
    with changing(lab.places, name):
        labs.wipe(lab, lab.plan.node(node))
        labs.power_on(lab, lab.plan.node(node))
        labs.wait_for_ssh(lab, (lab.plan.node(node),))


@click.command()
@node_argument
@name_option
def console(node: str, name: str) -> None:
    """Print what NODE wrote to its console since it was born."""
    lab = open_lab(Places(), name, say)
    click.echo(lab.own.console(lab.plan.node(node).name).read_bytes())


@click.command()
@name_option
@dry_run_option
def down(name: str, dry_run: bool) -> None:
    """End a lab and everything it made, also after a crash."""
    labs.down(Places(), name, say)


def _state(lab: Lab, name: str) -> str:
    node = lab.plan.node(name)
    if not machine.is_on(node):
        return "off"
    return "up" if answers(lab.plan, node) else "no answer"


COMMANDS = {
    "up": up,
    "status": status,
    "exec": exec_,
    "shell": shell,
    "power-off": power_off,
    "power-on": power_on,
    "wipe": wipe,
    "console": console,
    "down": down,
}
