"""`appliance internal node snapshot`: previous versions of this host's data, for our timer and socket of that name."""

from __future__ import annotations

import os
from dataclasses import asdict

import click

from appliance.cli.arguments import dry_run_option
from appliance.cli.output import emit
from appliance.cli.renamed import RenamedOption
from appliance.clock import SystemClock
from appliance.errors import OK, WARNINGS, Forbidden
from appliance.provision.snapshots import TARGETS, Kept, keep_versions


@click.command()
@click.option(
    "--on-demand",
    cls=RenamedOption,
    formerly="--asked",
    is_flag=True,
    help="Take one of the shares now, even if this hour has one.",
)
@dry_run_option
def snapshot(on_demand: bool, dry_run: bool) -> int:
    """Take read-only snapshots: of shares hourly for 48 hours and daily for 35 days, of replicas daily for 7 days.

    Snapshots are counted in the order in which they were taken: a clock that jumps removes none. On file systems other
    than btrfs there are none, and the output says so.
    """
    if os.geteuid() != 0 and not dry_run:
        raise Forbidden("only root can take and delete snapshots.", remedy="The agent requests snapshots by itself.")
    now = SystemClock().now()
    targets = TARGETS[:1] if on_demand else TARGETS
    kept = [keep_versions(it, now, on_demand=on_demand, dry_run=dry_run) for it in targets]
    emit({"dry_run": dry_run, "folders": [asdict(it) for it in kept]}, "\n".join(map(_line, kept)))
    return OK if dry_run or any(not it.unsupported for it in kept) else WARNINGS


def _line(kept: Kept) -> str:
    if kept.unsupported:
        return f"{kept.folder}: unsupported: {kept.unsupported}."
    parts = [
        f"made {kept.made}" if kept.made else "nothing to make",
        f"{len(kept.dropped)} dropped",
        *([f"{len(kept.in_use)} still in use"] if kept.in_use else []),
    ]
    return f"{kept.folder}: {', '.join(parts)}."
