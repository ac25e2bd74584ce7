"""`appliance internal failover run`: the program that serves, in the foreground."""

from __future__ import annotations

import click

from appliance.cli.output import say
from appliance.cli.this_layout import this_layout
from appliance.failover.program import serve


@click.command()
def run() -> None:
    """Run this node's services until SIGTERM: take over, hand over and stop in time, by the table of transitions.

    It runs beside `appliance internal agent`, which backs up. The services keep running when it ends; a watchdog stops
    each when its lease can no longer be proven. The next start continues where this one was.
    """
    serve(this_layout().root, say)
