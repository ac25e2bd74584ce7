"""`appliance internal agent`: the daemon of a node, in the foreground; systemd or the lab puts it in the background."""

from __future__ import annotations

import click

from appliance.agent.intervals import Intervals
from appliance.agent.service import serve
from appliance.cli.output import say
from appliance.cli.this_layout import this_layout

EVERY_VARIABLE = "APPLIANCE_AGENT_EVERY"


@click.command()
@click.option(
    "--every",
    type=click.FloatRange(min=0.1, max=600.0),
    default=Intervals().look_seconds,
    show_default=True,
    metavar="SECONDS",
    envvar=EVERY_VARIABLE,
    help=f"Seconds between two looks; waits after failures are multiples of it (or set {EVERY_VARIABLE}).",
)
def agent(every: float) -> None:
    """Run this node's agent until SIGTERM: it backs up, pushes, verifies and repairs by itself.

    There is one agent per state folder; a second one exits with 4. After SIGTERM running work has a few seconds to end;
    a second SIGTERM ends it at once. SIGHUP makes the agent look at once.
    """
    serve(this_layout().root, Intervals(every), say)
