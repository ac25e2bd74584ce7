"""`appliance backup confirm`: an operator says that a service was made smaller on purpose."""

from __future__ import annotations

import getpass
import os

import click

from appliance.backup.chain.chain import chain_of
from appliance.backup.writer.accepted import accept, acceptable
from appliance.backup.writer.manifest import Accepted
from appliance.backup.writer.source_sizes import check_shrunken
from appliance.backup.writer.source_sizes import confirm as confirm_sizes
from appliance.backup.writer.writer import own_grant
from appliance.cli.arguments import command, dry_run_option, service_argument
from appliance.cli.confirm import confirm as ask
from appliance.cli.output import emit, say
from appliance.cli.this_node import this_node
from appliance.clock import utc_text
from appliance.node.handle import Node
from appliance.units import format_bytes, format_count, printable


@click.command()
@service_argument
@click.option(
    "--left-out",
    "left_out",
    multiple=True,
    metavar="PATH",
    help="Instead, accept that this file cannot be read; may be repeated.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@dry_run_option
def confirm(service: str, left_out: tuple[str, ...], yes: bool, dry_run: bool) -> None:
    """Confirm that SERVICE was made smaller on purpose: later backups are compared with its last backup.

    With --left-out: accept that its backups lack PATH, which can never be read. They then count as whole without
    exactly these files, for exactly the reasons of the last backup, and say so. This ends once a file is read or
    removed.

    Run it on the node that writes the service. Old archives are then deleted again as its retention says, even those of
    its former size or with these files. The journal records the account that typed it.
    """
    node = this_node()
    if left_out:
        _accept(node, service, left_out, yes=yes, dry_run=dry_run)
        return
    found = check_shrunken(node, service)
    shown = f"The last backup of {service} read {found}."
    if not dry_run:
        ask(shown, "Was that intended?", yes=yes, what="this loss", refusal="nothing was confirmed.")
        confirm_sizes(node, service, _user())
    now, before = found.now, found.before
    told = f"{format_count(now.files, 'file')} of {format_bytes(now.bytes)}"
    emit(
        {
            "service": service,
            "confirmed": not dry_run,
            "files": now.files,
            "bytes": now.bytes,
            "before": before.archive,
            "before_files": before.files,
            "before_bytes": before.bytes,
        },
        f"{shown} It would be confirmed." if dry_run else f"{service} is confirmed with {told}.",
    )
    if not dry_run:
        say(f"Next: {command('backup', 'prune', service)}")


def _accept(node: Node, service: str, paths: tuple[str, ...], *, yes: bool, dry_run: bool) -> None:
    own_grant(node, chain_of(node, service))
    found = acceptable(node, service, paths)
    shown = "\n".join((f"Backups of {service} lack:", *(f"  {printable(it.path)}: {it.reason}" for it in found)))
    if not dry_run:
        question = "Count backups as whole without these files, and keep no old archive for them?"
        ask(shown, question, yes=yes, what="these files", refusal="nothing was accepted.")
        found = accept(node, service, paths, _user())
    emit(
        {
            "service": service,
            "accepted": not dry_run,
            "left_out": [{"path": it.path, "reason": it.reason, "since": utc_text(it.since)} for it in found],
        },
        f"{shown}\nIt would be accepted." if dry_run else f"Backups of {service} are without {found[0]}{_more(found)}.",
    )
    if not dry_run:
        say(f"Next: {command('backup', 'run', service)}")


def _more(found: tuple[Accepted, ...]) -> str:
    return f", and {format_count(len(found) - 1, 'more file')}" if len(found) > 1 else ""


def _user() -> str:
    return os.environ.get("SUDO_USER") or getpass.getuser()
