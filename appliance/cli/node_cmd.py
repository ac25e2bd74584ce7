"""`appliance node`: make this node, show it, give it the territory bundle it lives by."""

from __future__ import annotations

import getpass
import json
import shlex
from dataclasses import asdict
from pathlib import Path

import click

from appliance.backup.door import write_door
from appliance.backup.node import Node, open_node
from appliance.cli.arguments import FILE_TYPE, NAME_TYPE, command, dry_run_option, naming, read_file
from appliance.cli.node_apply_cmd import apply
from appliance.cli.node_collect_cmd import collect
from appliance.cli.node_leave_cmd import leave
from appliance.cli.node_meet_cmd import meet
from appliance.cli.node_mesh_cmd import mesh
from appliance.cli.node_revoke_cmd import revoke
from appliance.cli.node_rotate_cmd import rotate
from appliance.cli.node_settle_cmd import settle
from appliance.cli.node_snapshot_cmd import snapshot
from appliance.cli.output import SCHEMA, emit, say
from appliance.cli.territory_key import public_line, territory_key_option
from appliance.cli.this_node import this_layout
from appliance.host.layout import NodeLayout
from appliance.host.ssh import write_server_config
from appliance.trust import rotation
from appliance.trust.bundle import accept_bundle, load_bundle, read_bundle
from appliance.trust.identity import Identity, create_identity, load_identity, shown_keys
from appliance.trust.keys import PublicKeys
from appliance.trust.signed import fingerprint


@click.group()
def node() -> None:
    """This node: its keys, which are born here and never leave, and the territory it belongs to."""


node.add_command(apply)
node.add_command(mesh)
node.add_command(snapshot)
node.add_command(meet)
node.add_command(collect)
node.add_command(leave)
node.add_command(revoke)
node.add_command(rotate)
node.add_command(settle)


@node.command()
@click.argument("name", type=NAME_TYPE)
@territory_key_option
@dry_run_option
def init(name: str, territory_key: str, dry_run: bool) -> None:
    """Make this machine the node NAME: its keys, and the territory key that it will believe for ever.

    Compare the fingerprint that is told with the one on the paper of the territory: nothing else protects the first
    contact. Calling again with the same words changes nothing.
    """
    layout = this_layout()
    pinned = public_line(territory_key)
    if dry_run:
        emit({"node": name, "keys": None}, f"{name} would be made in {layout.root}, for {fingerprint(pinned)}.")
        return
    keys = create_identity(layout, name, pinned)
    text = f"{layout.root} is the node {name} of the territory with the key {fingerprint(pinned)}."
    emit({"node": name, "keys": asdict(keys)}, text)
    say(f"Next: collect its public keys: {command('node', 'keys')} > {name}.json")
    say(f"Then, once the territory is signed with them: {command('node', 'accept', 'BUNDLE')}")


@node.command()
@click.option("--user", metavar="ACCOUNT", help="The account behind this node's sshd; by default the present one.")
def keys(user: str | None) -> None:
    """Print this node's public keys as JSON, to be collected for `appliance territory sign --keys`."""
    layout = this_layout()
    shown = {
        "schema": SCHEMA,
        "node": load_identity(layout).name,
        "user": user or getpass.getuser(),
        "keys": asdict(shown_keys(layout)),
    }
    click.echo(json.dumps(shown))


@node.command()
@click.argument("bundle", metavar="BUNDLE", type=FILE_TYPE)
@dry_run_option
def accept(bundle: Path, dry_run: bool) -> None:
    """Live by the signed territory in the file BUNDLE from now on, and let its nodes talk to our vault.

    A bundle with a lower serial or of another signer is refused.
    """
    layout = this_layout()
    identity = load_identity(layout)
    raw = read_file(bundle)
    with naming(bundle, "a bundle"):
        offered = read_bundle(raw, identity.territory_key)
    present = load_bundle(layout.bundle, identity.territory_key).serial if layout.bundle.exists() else 0
    member = offered.members.get(identity.name)
    data = {
        "serial": offered.serial,
        "before": present,
        "member": member is not None and member.keys == shown_keys(layout),
        "accepted": not dry_run,
    }
    if dry_run:
        emit(data, f"Bundle {offered.serial} would follow bundle {present}.")
        return
    accepted = accept_bundle(layout.bundle, raw, identity.territory_key)
    if member is not None:
        rotation.take(layout.keys, member.keys)
    opened = open_node(layout.root)
    write_door(opened)
    emit(data, f"{identity.name} lives by bundle {accepted.serial} of {accepted.territory.name}.")
    _say_next(opened)


@node.command()
@dry_run_option
def door(dry_run: bool) -> None:
    """Write the settings of this node's own sshd, at the address and port of the bundle, and say how to start it.

    It lets in the nodes of the bundle alone, and to nothing but our vault. It runs as the account of the node.
    """
    opened = open_node(this_layout().root)
    plan = opened.bundle.member(opened.name).node
    folder, host_key = opened.layout.run, opened.layout.keys / "host_ed25519"
    path = folder / "sshd_config"
    if not dry_run:
        write_door(opened)
        path = write_server_config(folder, address=plan.address, port=plan.port, host_key=host_key)
    start = shlex.join(("/usr/sbin/sshd", "-f", str(path), "-E", str(folder / "sshd.log")))
    shown = {"config": str(path), "address": plan.address, "port": plan.port, "start": start, "written": not dry_run}
    emit(shown, f"{path}: sshd of {opened.name} on {plan.address}:{plan.port}.")
    if not dry_run:
        say(f"Next: {start}")


@node.command()
def show() -> None:
    """Show who this node is, its bundle, and what it writes, may open and holds."""
    layout = this_layout()
    identity = load_identity(layout)
    shown = shown_keys(layout)
    opened = open_node(layout.root) if layout.bundle.exists() else None
    part = _part(opened) if opened else {"origin_of": [], "standby_of": [], "holds": [], "spare_for": []}
    serial = opened.bundle.serial if opened else None
    data = {
        "node": identity.name,
        "state": str(layout.root),
        "territory": opened.bundle.territory.name if opened else None,
        "territory_key": fingerprint(identity.territory_key),
        "serial": serial,
        "in_bundle": bool(opened and _is_named(opened, shown)),
        "keys": asdict(shown),
        **part,
    }
    emit(data, _shown(layout, identity, shown, serial, part))


def _shown(
    layout: NodeLayout, identity: Identity, shown: PublicKeys, serial: int | None, part: dict[str, list[str]]
) -> str:
    rows = [
        ("node", identity.name),
        ("state", str(layout.root)),
        ("territory key", fingerprint(identity.territory_key)),
        ("signing key", fingerprint(shown.sign)),
        ("bundle", str(serial or f"none yet: {command('node', 'accept', 'BUNDLE')}")),
        *((what.replace("_", " "), ", ".join(names) or "-") for what, names in part.items()),
    ]
    return "\n".join(f"{what:15}{value}" for what, value in rows)


def _is_named(opened: Node, shown: PublicKeys) -> bool:
    """Whether the bundle means this machine, not the one that was in its place before."""
    member = opened.bundle.members.get(opened.name)
    return member is not None and member.keys.sign == shown.sign


def _part(opened: Node) -> dict[str, list[str]]:
    """The services by the part that this node has in them."""
    terms = [opened.bundle.terms(name) for name in sorted(opened.bundle.territory.services)]
    return {
        "origin_of": [it.name for it in terms if it.origin == opened.name],
        "standby_of": [it.name for it in terms if opened.name in it.standbys],
        "holds": [it.name for it in terms if opened.name in it.holders],
        "spare_for": [it.name for it in terms if opened.name in it.spares],
    }


def _say_next(opened: Node) -> None:
    if opened.name not in opened.bundle.members:
        say(f"This bundle has no keys of {opened.name}: peers will not let it in.")
        say(f"Next: collect them: {command('node', 'keys')}")
        return
    for name in _part(opened)["origin_of"]:
        if not opened.service(name).chain.exists():
            request = f"{name}.request"
            say(f"Next, if {name} is new: {command('backup', 'begin', name, '--out', request)}")
            say(f"If this node replaces another: {command('backup', 'resync', name, '--request', request)}")
