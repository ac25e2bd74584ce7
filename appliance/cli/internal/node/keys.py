"""`appliance internal node keys`: this node's public keys, as the territory is signed with them."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict

import click

from appliance.cli.grants_shown import grants_shown
from appliance.cli.output import SCHEMA
from appliance.cli.this_layout import this_layout
from appliance.clock import SystemClock, utc_text
from appliance.config.collected import DATE
from appliance.trust.identity import load_identity, shown_keys


@click.command()
@click.option(
    "--user", metavar="ACCOUNT", help="The account under which this node's sshd runs; by default the present one."
)
def keys(user: str | None) -> None:
    """Print this node's public keys as JSON, for `territory sign --keys`.

    The output includes the stored grants that voters signed: a bundle that changes the voters confirms them.
    """
    layout = this_layout()
    shown = {
        "schema": SCHEMA,
        "node": load_identity(layout).name,
        "user": user or getpass.getuser(),
        "keys": asdict(shown_keys(layout)),
        **grants_shown(layout),
        DATE: utc_text(SystemClock().now()),
    }
    click.echo(json.dumps(shown))
