"""`appliance restore carry`: what people asked for in the portal, done by an account that may write to their shares."""

from __future__ import annotations

from typing import Any

import click

from appliance.backup.ordered import Carried, carry_out_waiting, waiting
from appliance.cli.arguments import command, dry_run_option
from appliance.cli.output import emit, say, table
from appliance.cli.this_node import this_node
from appliance.errors import WARNINGS
from appliance.restore.order import Status


@click.command()
@dry_run_option
def carry(dry_run: bool) -> int | None:
    """Carry out the restores that people asked for in the portal; what was cut goes on.

    The portal starts this by itself. Ends with 1 when one of them failed; its sentence is with it in the portal.
    """
    node = this_node()
    done = [
        *(() if dry_run else carry_out_waiting(node)),
        *(Carried(service, order, Status()) for service, order in waiting(node) if dry_run),
    ]
    rows = [(it.service, it.order.kind, it.status.state, it.status.failure) for it in done]
    emit(
        {"carried": [_json(it) for it in done], "written": not dry_run},
        table(("SERVICE", "KIND", "STATE", "WHY"), rows) if rows else "Nothing waits.",
    )
    if any(it.status.state == "failed" for it in done):
        say(f"Next, when it is mended, ask again in the portal, then: {command('restore', 'carry')}")
        return WARNINGS
    return None


def _json(carried: Carried) -> dict[str, Any]:
    status = carried.status
    return {
        "order": carried.order.id,
        "service": carried.service,
        "kind": carried.order.kind,
        "state": status.state,
        "failure": status.failure or None,
        "remedy": status.remedy or None,
    }
