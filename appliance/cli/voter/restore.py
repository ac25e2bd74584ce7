"""`appliance voter restore`: make the voter on this node again, after most or all of them lost their disks. Only root
can."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click

from appliance.cli.arguments import FILE_TYPE, dry_run_option
from appliance.cli.output import emit
from appliance.cli.this_layout import layout_as_root
from appliance.cli.this_voter import member_here
from appliance.errors import Forbidden
from appliance.provision.voter import MEMORY, UNIT
from appliance.trust.root_bundle import territory_for_root
from appliance.voter import restoring


@click.command("restore")
@click.argument("copy", type=FILE_TYPE, metavar="COPY")
@dry_run_option
def restore_(copy: Path, dry_run: bool) -> None:
    """Recreate the voter on this node from COPY, after most or all voters lost their disks. As root.

    COPY is the newest copy that any voter has in STATE/voter-care. Use the same one at each voter, before any of them
    starts: the printed hash must be the same everywhere. Agreements after it are lost, and no epoch goes back. A voter
    that still has its data is refused, and so is each while another one runs.
    """
    if os.geteuid() != 0:
        raise Forbidden("only root can recreate a voter.", remedy="Put `sudo` before it.")
    name, member, _ = member_here(*territory_for_root(layout_as_root(), dry_run=dry_run))
    member = replace(member, data=MEMORY)
    restoring.check_empty(member)
    restoring.check_all_rest(member)
    found = restoring.look_at(copy)
    if not dry_run:
        restoring.restore(member, found)
    told = "would be recreated" if dry_run else "is recreated"
    shown = {"node": name, "hash": found.hash, "revision": found.revision, "others": member.others, "dry_run": dry_run}
    emit(
        shown,
        f"The voter on {name} {told} from the copy with hash {found.hash}, revision {found.revision}.\nDo this with "
        f"the same copy at {', '.join(member.others)}, then type at each: systemctl start --no-block {UNIT}",
    )
