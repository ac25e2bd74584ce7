"""`appliance failover broker`: a voter's broker, in the foreground."""

from __future__ import annotations

import click

from appliance.agent.broker import serve
from appliance.cli.output import say
from appliance.cli.this_layout import this_layout


@click.command()
def broker() -> None:
    """Run this voter's broker until SIGTERM: it answers nodes beside its etcd, and signs grants on proof of its own.

    STATE/voter.json says where that etcd listens; the bundle, at which port nodes call.
    """
    serve(this_layout().root, say)
