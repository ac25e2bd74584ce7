"""`appliance internal node rotate`: another key of one kind for a node that goes on."""

from __future__ import annotations

import click

from appliance.cli.arguments import command, dry_run_option
from appliance.cli.node.init import say_signing
from appliance.cli.output import emit, say
from appliance.cli.this_layout import this_layout
from appliance.errors import UsageError
from appliance.trust import rotation
from appliance.trust.identity import load_identity


@click.command()
@click.argument("kind", type=click.Choice(rotation.KINDS), required=False)
@click.option("--finish", is_flag=True, help="Delete the former keys, once every node has the new bundle.")
@dry_run_option
def rotate(kind: str | None, finish: bool, dry_run: bool) -> None:
    """Create a new key of KIND on this node. It takes effect with the bundle that signs it.

    Until then, and until `--finish`, SSH offers the former key too, since peers may have either bundle. The mesh is
    interrupted until its peers have the new one. Signing keys, envelope keys and the machine's host keys cannot be
    changed this way: replace the node.
    """
    layout = this_layout()
    name = load_identity(layout).name
    if (kind is None) != finish:
        raise UsageError("no kind of key was named.", remedy=f"Name one of {', '.join(rotation.KINDS)}, or --finish.")
    if kind is None:
        gone = not dry_run and rotation.finish(layout.keys)
        emit({"node": name, "finished": gone}, "The former keys were deleted." if gone else "Nothing was removed.")
        return
    before = kind in rotation.waiting(layout.keys)
    public = "" if dry_run else rotation.begin(layout.keys, kind)
    text = f"{name} {'would have' if dry_run else 'has'} a new {kind} key, which waits to be signed."
    emit({"node": name, "kind": kind, "public": public, "made": not dry_run and not before}, text)
    if not dry_run:
        say(f"Next: collect its public keys: {command('internal', 'node', 'keys')} > {name}.json")
        say_signing("--previous", "bundle")
