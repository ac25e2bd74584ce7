"""`appliance node init`: make this node, with keys that are made on it."""

from __future__ import annotations

from dataclasses import asdict

import click

from appliance.cli.arguments import NAME_TYPE, command, dry_run_option
from appliance.cli.output import emit, say
from appliance.cli.territory.key import public_line, territory_key_option
from appliance.cli.this_layout import this_layout
from appliance.host.identity import machine_id
from appliance.trust.identity import create_identity
from appliance.trust.signed import fingerprint
from appliance.units import as_typed
from appliance.voter.promises import begin_promises

KEYS = "keys"


@click.command()
@click.argument("name", type=NAME_TYPE)
@territory_key_option
@dry_run_option
def init(name: str, territory_key: str, dry_run: bool) -> None:
    """Make this machine the node NAME: create its keys and pin the territory key.

    Compare the printed fingerprint with the one on the territory's paper: nothing else protects the first contact. A
    second call with the same arguments changes nothing.
    """
    layout = this_layout()
    pinned = public_line(territory_key)
    if dry_run:
        emit({"node": name, "keys": None}, f"{name} would be made in {layout.root}, for {fingerprint(pinned)}.")
        return
    is_new = not layout.identity.exists() and not layout.promises.exists()
    keys = create_identity(layout, name, pinned)
    if is_new:
        # Only who was just made has surely promised nothing; it may be a voter one day.
        begin_promises(layout.promises, machine_id())
    text = f"{layout.root} is the node {name} of the territory with the key {fingerprint(pinned)}."
    emit({"node": name, "keys": asdict(keys)}, text)
    say(f"Next: collect its public keys: {command('internal', 'node', 'keys')} > {name}.json")
    say_signing()
    say(f"Then, once the territory is signed with them: {command('node', 'accept', 'BUNDLE')}")


def say_signing(*more: str) -> None:
    """Say what the key holder types about the keys that were collected, with `more` words."""
    words = ("territory", "sign", ".", "--keys", KEYS, "--key", "territory", *more, "--out", "bundle")
    sign = as_typed("appliance", *words)
    say(f"Then, the key holder, with that file in the folder {KEYS} beside territory.yml: {sign}")
