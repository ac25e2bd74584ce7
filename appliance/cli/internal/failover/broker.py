"""`appliance internal failover broker`: a voter's broker, in the foreground."""

from __future__ import annotations

import click

from appliance.cli.output import say
from appliance.cli.this_layout import this_layout
from appliance.voter.program import serve


@click.command()
def broker() -> None:
    """Run this voter's broker until SIGTERM: it answers the nodes in front of etcd and signs grants that it verified.

    STATE/voter.json names the address of etcd; the bundle names the port at which nodes call.
    """
    serve(this_layout().root, say)
