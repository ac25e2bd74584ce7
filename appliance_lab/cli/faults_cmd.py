"""`appliance lab cut`, `throttle`, `delay`, `heal`, `probe`: faults of a lab's network, and what this kernel can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from appliance.cli.arguments import dry_run_option
from appliance.cli.output import emit, say, table
from appliance_lab.cli.decisions import about, name_option, tell, the_lab
from appliance_lab.hosts import kernel
from appliance_lab.hosts.disturb import chosen, decide, disturb
from appliance_lab.hosts.faults import HEALED, Fault, check_end, merge, parse_delay, parse_loss, parse_rate
from appliance_lab.hosts.lab import Lab, changing
from appliance_lab.hosts.needs import check_programs, check_root
from appliance_lab.hosts.paths import HostPaths

TARGET = "NODE|A--B"
target_argument = click.argument("target", metavar=TARGET)
targets_argument = click.argument("targets", metavar=f"{TARGET}...", nargs=-1, required=True)


@click.command()
@targets_argument
@click.option(
    "--from", "cut_from", metavar="SITE", default="", help="Lose only packets that SITE sends over its links."
)
@name_option
@dry_run_option
def cut(targets: Sequence[str], cut_from: str, name: str, dry_run: bool) -> None:
    """Block all traffic: pull the cable of NODE, or cut the link between the sites A and B.

    "A--*" is every link of A; its nodes then reach only each other.
    """
    _change(name, targets, dry_run, cut=True, cut_from=cut_from)


@click.command()
@target_argument
@click.argument("rate")
@name_option
@dry_run_option
def throttle(target: str, rate: str, name: str, dry_run: bool) -> None:
    """Limit traffic to RATE each way, such as 512kbit or 10mbit."""
    _change(name, (target,), dry_run, rate=parse_rate(rate))


@click.command()
@target_argument
@click.argument("delay")
@click.option("--loss", default="0%", show_default=True, help="The percentage of packets lost, each way.")
@name_option
@dry_run_option
def delay(target: str, delay: str, loss: str, name: str, dry_run: bool) -> None:
    """Delay packets by DELAY each way, such as 20ms: a round trip takes 40 ms more."""
    _change(name, (target,), dry_run, delay_seconds=parse_delay(delay), loss=parse_loss(loss))


@click.command()
@click.argument("targets", metavar=f"[{TARGET}]...", nargs=-1)
@name_option
@dry_run_option
def heal(targets: Sequence[str], name: str, dry_run: bool) -> None:
    """Remove every fault of the targets, or of the whole lab when none is named."""
    _change(name, targets, dry_run, **vars(HEALED))


@click.command()
def probe() -> None:
    """Test this machine's kernel features, and show what a lab uses in place of missing ones."""
    check_root()
    check_programs()
    found = kernel.probe()
    used = kernel.backends(found)
    rows = [
        (it.name, "yes" if found[it.name] else "no", it.use if found[it.name] else f"{it.use}: {it.otherwise}")
        for it in kernel.FEATURES
    ]
    jobs = table(("A LAB'S", "MADE BY"), list(used.items()))
    emit({"features": found, "backends": used}, table(("FEATURE", "HERE", "WHAT FOR"), rows) + "\n\n" + jobs)


def _change(name: str, texts: Sequence[str], dry_run: bool, **changes: Any) -> None:
    lab = the_lab(name)
    if dry_run:
        tell(name, decide(lab, _wanted(lab, texts, changes)), dry_run=True)
        return
    with changing(HostPaths(), name, say):
        lab = the_lab(name)  # another command may have changed it while this one waited
        wanted = _wanted(lab, texts, changes)
        decisions = decide(lab, wanted)
        disturb(lab, wanted)
    tell(name, decisions, dry_run=False, then=about(name, "heal" if lab.faults else "status"))


def _wanted(lab: Lab, texts: Sequence[str], changes: Mapping[str, Any]) -> dict[str, Fault]:
    """Return what the targets must be; without any, those that are known to be at fault."""
    targets = chosen(lab, texts) if texts else tuple(lab.faults)
    if site := changes.get("cut_from"):
        for target in targets:
            check_end(lab.plan, target, site)
    return merge(lab.faults, targets, **changes)
