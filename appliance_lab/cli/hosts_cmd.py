"""`appliance lab up` and its kin: a territory as real hosts on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from appliance.cli.arguments import NAME_TYPE, dry_run_option
from appliance.cli.output import emit, say, table
from appliance.config.load import load
from appliance.units import format_count
from appliance_lab.checkout import inventories
from appliance_lab.cli.decisions import about, name_option, tell, the_lab
from appliance_lab.hosts import decide, machine, needs
from appliance_lab.hosts import lab as labs
from appliance_lab.hosts.access import answers
from appliance_lab.hosts.disturb import dead
from appliance_lab.hosts.faults import HEALED
from appliance_lab.hosts.lab import Lab, changing, look
from appliance_lab.hosts.paths import HostPaths
from appliance_lab.hosts.plan import Node, make_plan

INVENTORY = own if (own := Path("inventory/lab")).is_dir() else inventories() / "lab"

node_argument = click.argument("node", type=NAME_TYPE)


@click.command()
@click.option(
    "--inventory",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=INVENTORY,
    show_default=True,
    help="The folder of the territory to boot.",
)
@name_option
@dry_run_option
def up(inventory: Path, name: str, dry_run: bool) -> None:
    """Boot every node of a territory as a Debian host; running ones are left as they are."""
    needs.check_root()
    needs.check_programs()
    plan = make_plan(load(inventory), name)
    decisions = decide.decide_up(plan, look(HostPaths(), name))
    if not dry_run:
        lab = labs.up(HostPaths(), name, inventory, say)
        say(_answering(lab))
    tell(name, decisions, dry_run=dry_run, then=f"ssh -F {HostPaths().lab(name).ssh_config} {plan.nodes[0].name}")


@click.command()
@name_option
def status(name: str) -> None:
    """Show the state of each node and the faults in force."""
    lab = the_lab(name)
    rows = [(node.name, node.site, str(node.address), _state(lab, node)) for node in lab.plan.nodes]
    nodes = [dict(zip(("node", "site", "address", "state"), row, strict=True)) for row in rows]
    ended = dead(lab)
    faults = [{"target": it, **vars(fault), "dead": it in ended} for it, fault in lab.faults.items()]
    data = {"lab": name, "complete": lab.state.complete, "nodes": nodes, "faults": faults}
    emit(
        {**data, "backends": dict(lab.state.backends), "ssh_config": str(lab.own.ssh_config)},
        "\n".join((table(("NODE", "SITE", "ADDRESS", "STATE"), rows), *_fault_lines(lab, ended))),
    )
    if not lab.state.complete:
        say(f"A `lab up` was interrupted. Next: {about(name, 'up')}")


@click.command(context_settings={"ignore_unknown_options": True})
@node_argument
@click.argument("words", metavar="-- CMD", nargs=-1, required=True, type=click.UNPROCESSED)
@name_option
def exec_(node: str, words: tuple[str, ...], name: str) -> None:
    """Run CMD as root on NODE, from its console side: also when no network reaches it. Exits with CMD's code."""
    _enter(name, node, words)


@click.command()
@node_argument
@name_option
def shell(node: str, name: str) -> None:
    """Open a shell as root on NODE, from its console side."""
    _enter(name, node, ("bash", "-l"))


@click.command()
@node_argument
@click.option("--cut", is_flag=True, help="Cut its power instead of asking it to stop.")
@name_option
@dry_run_option
def power_off(node: str, cut: bool, name: str, dry_run: bool) -> None:
    """Switch NODE off; its disk stays."""
    it = the_lab(name).plan.node(node)
    decision = decide.decide_power_off(it, look(HostPaths(), name), cut=cut)
    if not dry_run:
        with changing(HostPaths(), name, say):
            (machine.cut_power if cut else machine.shut_down)(it)
    tell(name, (decision,), dry_run=dry_run, then=about(name, "power-on", node))


@click.command()
@node_argument
@name_option
@dry_run_option
def power_on(node: str, name: str, dry_run: bool) -> None:
    """Switch NODE on and wait until it answers."""
    lab = the_lab(name)
    it = lab.plan.node(node)
    decision = decide.decide_power_on(it, look(HostPaths(), name))
    if not dry_run:
        with changing(HostPaths(), name, say):
            _switch_on(lab, it)
    tell(name, (decision,), dry_run=dry_run)


@click.command()
@node_argument
@name_option
@dry_run_option
def wipe(node: str, name: str, dry_run: bool) -> None:
    """Replace NODE by a new box with an empty disk, root SSH and new host keys."""
    lab = the_lab(name)
    it = lab.plan.node(node)
    decisions = decide.decide_wipe(it, look(HostPaths(), name))
    if not dry_run:
        with changing(HostPaths(), name, say):
            labs.wipe(lab, it)
            _switch_on(lab, it)
    tell(name, decisions, dry_run=dry_run, then=f"ssh -F {lab.own.ssh_config} {node}")


@click.command()
@node_argument
@name_option
def console(node: str, name: str) -> None:
    """Print what NODE wrote to its console since it was created."""
    lab = the_lab(name)
    path = lab.own.console(lab.plan.node(node).name)
    click.echo(path.read_bytes() if path.exists() else b"", nl=False)


@click.command()
@name_option
@dry_run_option
def down(name: str, dry_run: bool) -> None:
    """End a lab and everything it made, also after a crash."""
    needs.check_root()
    decisions = decide.decide_down(look(HostPaths(), name))
    if not dry_run:
        labs.down(HostPaths(), name, say)
    tell(name, decisions, dry_run=dry_run)


def _enter(name: str, node: str, words: Sequence[str]) -> None:
    """Become `words` on `node`: what it ends with is what we end with."""
    argv = machine.enter_argv(the_lab(name).plan.node(node), words)
    os.execvp(argv[0], argv)


def _switch_on(lab: Lab, node: Node) -> None:
    labs.power_on(lab, node)
    labs.wait_for_ssh(lab, (node,))


def _state(lab: Lab, node: Node) -> str:
    if not machine.is_on(node):
        return "off"
    return "up" if answers(lab.plan, node) else "no answer"


def _answering(lab: Lab) -> str:
    silent = [node.name for node in lab.plan.nodes if lab.faults.get(node.name, HEALED).cut]
    told = f" {', '.join(silent)}: not asked, since the cable is pulled." if silent else ""
    return f"{format_count(len(lab.plan.nodes) - len(silent), 'node answers', 'nodes answer')}.{told}"


def _fault_lines(lab: Lab, ended: frozenset[str]) -> Iterable[str]:
    if not lab.faults:
        return ("No fault is in force.",)
    gone = "; the router that makes this fault has ended: ALL TRAFFIC IS BLOCKED. Heal it, or inject it again"
    return (f"{target}: {fault}{gone if target in ended else ''}." for target, fault in lab.faults.items())
