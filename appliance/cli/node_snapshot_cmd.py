"""`appliance node snapshot`: previous versions of this host's data. What our timer and socket of that name run."""

from __future__ import annotations

import os
from dataclasses import asdict

import click

from appliance.cli.arguments import dry_run_option
from appliance.cli.output import emit
from appliance.clock import SystemClock
from appliance.errors import OK, WARNINGS, Forbidden
from appliance.provision.snapshots import TARGETS, Kept, keep_versions


@click.command()
@click.option("--asked", is_flag=True, help="Make one of the shares now, whatever there is of this hour.")
@dry_run_option
def snapshot(asked: bool, dry_run: bool) -> int:
    """Keep read-only snapshots: of the shares hourly for 48 hours and daily for 35 days, of copies held daily for 7.

    They are counted in the order in which they were made: a clock that jumps removes none. On another file system than
    btrfs there are no snapshots, which is told.
    """
    if os.geteuid() != 0 and not dry_run:
        raise Forbidden("only root may make and drop snapshots.", remedy="The agent asks for one by itself.")
    now = SystemClock().now()
    kept = [keep_versions(it, now, asked=asked, dry_run=dry_run) for it in (TARGETS[:1] if asked else TARGETS)]
    emit({"dry_run": dry_run, "folders": [asdict(it) for it in kept]}, "\n".join(map(_line, kept)))
    return OK if dry_run or any(not it.unsupported for it in kept) else WARNINGS


def _line(kept: Kept) -> str:
    if kept.unsupported:
        return f"{kept.folder}: unsupported: {kept.unsupported}."
    parts = [
        f"made {kept.made}" if kept.made else "nothing to make",
        f"{len(kept.dropped)} dropped",
        *([f"{len(kept.in_use)} still read by somebody"] if kept.in_use else []),
    ]
    return f"{kept.folder}: {', '.join(parts)}."
