"""`appliance agent`: run the daemon of a node in the foreground; systemd or the lab puts it in the background."""

from __future__ import annotations

import click

from appliance.agent.decide import Pace
from appliance.agent.service import serve
from appliance.cli.output import say
from appliance.cli.this_layout import this_layout

EVERY_VARIABLE = "APPLIANCE_AGENT_EVERY"


@click.command()
@click.option(
    "--every",
    type=click.FloatRange(min=0.1, max=600.0),
    default=Pace().look_seconds,
    show_default=True,
    metavar="SECONDS",
    envvar=EVERY_VARIABLE,
    help=f"How often to look; waits after failures are multiples of it ({EVERY_VARIABLE} says the same).",
)
def agent(every: float) -> None:
    """Run this node's agent until SIGTERM: it backs up, pushes, verifies and repairs by itself.

    There is one agent per state folder; a second one ends with 4. After SIGTERM what is at work has a few seconds to
    end, a second SIGTERM ends all at once. SIGHUP makes it look at once.
    """
    serve(this_layout().root, Pace(every), say)
