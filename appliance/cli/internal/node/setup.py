"""`appliance internal node setup`: make this host a node, show its keys, put a bundle in force. Only root can."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import click

from appliance import typed
from appliance.cli.arguments import FILE_TYPE, NAME_TYPE, dry_run_option, naming, read_file
from appliance.cli.caller import caller_address
from appliance.cli.grants_shown import grants_shown
from appliance.cli.output import emit
from appliance.cli.territory.key import public_line, territory_key_option
from appliance.cli.this_layout import layout_as_root
from appliance.errors import ApplianceError, Forbidden
from appliance.host.layout import NodeLayout
from appliance.membership.renew import to_begin
from appliance.node.handle import open_node
from appliance.provision.apply import THIS_HOST
from appliance.provision.callers import Caller
from appliance.provision.due import due
from appliance.provision.files import PARTS
from appliance.provision.observe import declared
from appliance.provision.setup import set_up as settle_here
from appliance.trust.bundle import Bundle, read_bundle
from appliance.trust.identity import Identity
from appliance.trust.signed import fingerprint

# Other nodes log in at a node as vault-NAME.
BEFORE_THEIR_NAMES = "vault-"


@click.command()
@click.argument("name", type=NAME_TYPE)
@territory_key_option
@click.option(
    "--user",
    metavar="ACCOUNT",
    default=BEFORE_THEIR_NAMES,
    show_default=True,
    help="The user prefix with which other nodes log in, without NAME.",
)
@click.option("--bundle", metavar="FILE", type=FILE_TYPE, help="Then put this bundle in force, as `node accept` does.")
@click.option(
    "operators", "--operator", metavar="NETWORK", multiple=True, help="With the bundle, also admit SSH from there."
)
@dry_run_option
def setup(
    name: str, territory_key: str, user: str, bundle: Path | None, operators: tuple[str, ...], dry_run: bool
) -> None:
    """Set this host up as the node NAME: its folder --state, /etc/appliance, its keys, its bundle.

    A folder of another node or with another territory key is refused before anything changes; so is a bundle whose
    firewall would lock out the SSH session that brings it. The keys are made here and belong to the account of the
    node. A second call with the same arguments changes nothing.

    The output of --json includes the stored grants, as that of `internal node keys` does; with a bundle that has this
    node, also the parts of `internal node apply` that are due and the networks that are admitted.
    """
    if os.geteuid() != 0:
        raise Forbidden("only root can make a host a node.", remedy=f"Without root: `{typed.INIT}`.")
    wanted = Identity(name, public_line(territory_key))
    state = layout_as_root().root
    followed = _read(bundle, wanted)
    caller = Caller(caller_address(), operators)
    done = settle_here(wanted, state, bundle=followed, caller=caller, dry_run=dry_run)
    verb = "would be changed" if dry_run else "changed"
    told = f"{state} is the node {name} of the territory with the key {fingerprint(wanted.territory_key)}."
    keys = asdict(done.keys) if done.keys else None
    taken = asdict(done.bundle) if done.bundle else None
    data = {"node": name, "user": user, "keys": keys, "bundle": taken, "dry_run": dry_run, "changed": done.changed}
    data |= grants_shown(NodeLayout(state))
    data["begins"] = _begins(state) if done.bundle and done.bundle.member and not dry_run else None
    data["due"] = due(followed, name) if followed and done.bundle and done.bundle.member else PARTS
    data["operators"] = declared(THIS_HOST.root).operators
    emit(data, "\n".join(f"{verb}: {path}" for path in done.changed) or told)


def _begins(state: Path) -> tuple[str, ...] | None:
    """The services that begin here and wait for a grant; None where that cannot be told: `backup begin` says why."""
    try:
        return tuple(to_begin(open_node(state)))
    except (ApplianceError, OSError, UnicodeDecodeError):
        return None


def _read(bundle: Path | None, wanted: Identity) -> Bundle | None:
    if bundle is None:
        return None
    with naming(bundle, "a bundle"):
        return read_bundle(read_file(bundle), wanted.territory_key)
