"""`appliance node settle`: make this host a node, and let it show its keys. Only root can."""

from __future__ import annotations

import os
from dataclasses import asdict

import click

from appliance.cli.arguments import NAME_TYPE, dry_run_option
from appliance.cli.output import emit
from appliance.cli.territory_key import public_line, territory_key_option
from appliance.cli.this_layout import layout_as_root
from appliance.errors import Forbidden
from appliance.provision.settle import settle as settle_here
from appliance.trust.identity import Identity
from appliance.trust.signed import fingerprint

# Other nodes log in at a node as vault-NAME.
BEFORE_THEIR_NAMES = "vault-"


@click.command()
@click.argument("name", type=NAME_TYPE)
@territory_key_option
@click.option(
    "--user", metavar="ACCOUNT", default=BEFORE_THEIR_NAMES, show_default=True, help="What others log in as, less NAME."
)
@dry_run_option
def settle(name: str, territory_key: str, user: str, dry_run: bool) -> None:
    """Make this host the node NAME: its folder --state, what root says about it in /etc/appliance, its keys.

    A folder that is another node, or believes another territory key, is refused before anything changes. The keys are
    born here and belong to the account of the node. Calling again with the same words changes nothing.
    """
    if os.geteuid() != 0:
        raise Forbidden("only root may make a host a node.", remedy="Without root: `appliance node init`.")
    wanted = Identity(name, public_line(territory_key))
    state = layout_as_root().root
    done = settle_here(wanted, state, dry_run=dry_run)
    verb = "would be changed" if dry_run else "changed"
    told = f"{state} is the node {name} of the territory with the key {fingerprint(wanted.territory_key)}."
    keys = asdict(done.keys) if done.keys else None
    data = {"node": name, "user": user, "keys": keys, "dry_run": dry_run, "changed": done.changed}
    emit(data, "\n".join(f"{verb}: {path}" for path in done.changed) or told)
