"""`appliance backup confirm`: an operator says that a service was made smaller on purpose."""

from __future__ import annotations

import getpass
import os

import click

from appliance.backup.source_sizes import check_shrunken
from appliance.backup.source_sizes import confirm as confirm_sizes
from appliance.cli.arguments import command, dry_run_option, service_argument
from appliance.cli.confirm import confirm as ask
from appliance.cli.output import emit, say
from appliance.cli.this_node import this_node
from appliance.units import format_bytes, format_count


@click.command()
@service_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@dry_run_option
def confirm(service: str, yes: bool, dry_run: bool) -> None:
    """Say that SERVICE was made smaller on purpose: what its last backup read is the measure from now on.

    Typed where the service is written. Old archives are then forgotten again as its retention says, those of its former
    size among them. Who typed it is kept in the journal.
    """
    node = this_node()
    found = check_shrunken(node, service)
    shown = f"The last backup of {service} read {found}."
    if not dry_run:
        ask(shown, "Was that meant?", yes=yes, what="this loss", refusal="nothing was confirmed.")
        confirm_sizes(node, service, os.environ.get("SUDO_USER") or getpass.getuser())
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
        f"{shown} It would be confirmed." if dry_run else f"{service} is as it should be with {told}.",
    )
    if not dry_run:
        say(f"Next: {command('backup', 'tidy', service)}")
