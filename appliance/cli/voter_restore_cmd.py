"""`appliance voter restore`: the voter on this node anew, after most or all of them lost their disks. Only root can."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click

from appliance.cli.arguments import FILE_TYPE, dry_run_option
from appliance.cli.output import emit
from appliance.cli.this_layout import layout_as_root
from appliance.cli.voter_settle_cmd import member_here
from appliance.coordination import restoring
from appliance.errors import Forbidden
from appliance.provision.voter import MEMORY, UNIT
from appliance.trust.root_bundle import territory_for_root


@click.command("restore")
@click.argument("copy", type=FILE_TYPE, metavar="COPY")
@dry_run_option
def restore_(copy: Path, dry_run: bool) -> None:
    """Make the voter on this node anew from COPY, after most or all of them lost their disks. As root.

    COPY is the newest that anybody has of STATE/voter-care, the same one at each voter, before any of them starts: the
    hash that is told must be the same everywhere. What was agreed after it is forgotten, and no epoch goes back.
    A voter that remembers anything is refused, and so is each while another one runs.
    """
    if os.geteuid() != 0:
        raise Forbidden("only root may make a voter anew.", remedy="Put `sudo` before it.")
    name, member, _ = member_here(*territory_for_root(layout_as_root(), dry_run=dry_run))
    member = replace(member, data=MEMORY)
    restoring.check_empty(member)
    restoring.check_all_rest(member)
    found = restoring.look_at(copy)
    if not dry_run:
        restoring.restore(member, found)
    told = "would be made" if dry_run else "is made"
    shown = {"node": name, "hash": found.hash, "revision": found.revision, "others": member.others, "dry_run": dry_run}
    emit(
        shown,
        f"The voter on {name} {told} anew from the copy with hash {found.hash}, revision {found.revision}.\n"
        f"Do this with the same copy at {', '.join(member.others)}, then type at each: "
        f"systemctl start --no-block {UNIT}",
    )
