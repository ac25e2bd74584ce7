"""`appliance failover run` and `broker`: the two programs of failover, in the foreground."""

from __future__ import annotations

import click

from appliance.agent.broker import serve as serve_broker
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


@click.command()
def broker() -> None:
    """Run this voter's broker until SIGTERM: it answers nodes beside its etcd, and signs grants on proof of its own.

    STATE/voter.json says where that etcd listens; the bundle, at which port nodes call.
    """
    serve_broker(this_layout().root, say)
