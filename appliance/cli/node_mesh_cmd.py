"""`appliance node mesh`: bring the mesh's interface up. What `appliance-mesh.service` runs."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.arguments import dry_run_option, read_file
from appliance.cli.output import emit
from appliance.cli.this_layout import layout_as_root
from appliance.host.hands import HOLDERS
from appliance.provision import link
from appliance.provision.link import CONFIG, INTERFACE
from appliance.secret import Secret


@click.command()
@dry_run_option
def mesh(dry_run: bool) -> None:
    """Make the interface of the mesh what its file says; sessions that stay are not cut. Only root can.

    The file is written by `appliance node apply`. The unit appliance-mesh calls this at each start and change, and when
    the address of a service leads elsewhere.
    """
    key = read_file(layout_as_root().mesh_key)
    holders = Path(HOLDERS).read_text() if Path(HOLDERS).exists() else ""
    text = link.led(read_file(Path(CONFIG)).decode(), link.read_holders(holders))
    lines = link.planned(text) if dry_run else link.bring_up(text, Secret(key))
    would = "\n".join((f"{INTERFACE} would be made what {CONFIG} says:", *(f"  ip {line}" for line in lines)))
    told = {"interface": INTERFACE, "done": lines, "written": not dry_run}
    emit(told, would if dry_run else f"{INTERFACE} is what {CONFIG} says.")
