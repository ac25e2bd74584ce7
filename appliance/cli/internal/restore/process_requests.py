"""`appliance internal restore process-requests`: what people asked for on the pages, put back."""

from __future__ import annotations

from typing import Any

import click

from appliance.backup.restore_requests import Processed, process_waiting, waiting
from appliance.cli.arguments import command, dry_run_option
from appliance.cli.output import emit, say, table
from appliance.cli.this_node import this_node
from appliance.errors import WARNINGS
from appliance.restore.request import Status


@click.command()
@dry_run_option
def process_requests(dry_run: bool) -> int | None:
    """Carry out the restore requests of the pages; interrupted ones are continued.

    The pages start this by themselves. Exits with 1 when a restore failed; the pages show the reason.
    """
    node = this_node()
    done = [
        *(() if dry_run else process_waiting(node)),
        *(Processed(service, request, Status()) for service, request in waiting(node) if dry_run),
    ]
    rows = [(it.service, it.request.kind, it.status.state, it.status.failure) for it in done]
    emit(
        {"carried": [_json(it) for it in done], "written": not dry_run},
        table(("SERVICE", "KIND", "STATE", "WHY"), rows) if rows else "Nothing waits.",
    )
    if any(it.status.state == "failed" for it in done):
        again = command("internal", "restore", "process-requests")
        say(f"Next, once the cause is fixed, repeat the request on the pages, then: {again}")
        return WARNINGS
    return None


def _json(carried: Processed) -> dict[str, Any]:
    status = carried.status
    return {
        "order": carried.request.id,
        "service": carried.service,
        "kind": carried.request.kind,
        "state": status.state,
        "failure": status.failure or None,
        "remedy": status.remedy or None,
    }
