"""`appliance failover run`: the program that serves, in the foreground."""

from __future__ import annotations

import click

from appliance.agent.failover import serve
from appliance.cli.output import say
from appliance.cli.this_layout import this_layout


@click.command()
def run() -> None:
    """Serve this node's services until SIGTERM: take over, hand over, stop in time, by the table of transitions.

    It stands beside `appliance agent`, which backs up. What is served goes on when it ends, and a watchdog stops it
    when its lease can no longer be proven; the next start goes on where this one was.
    """
    serve(this_layout().root, say)
