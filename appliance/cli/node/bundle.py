"""`appliance node accept` and `show`: the territory bundle in force on this node."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from appliance.cli.arguments import FILE_TYPE, command, dry_run_option, naming, read_file
from appliance.cli.caller import caller_address
from appliance.cli.output import emit, say
from appliance.cli.this_layout import this_layout
from appliance.host.layout import NodeLayout, state_of_this_host
from appliance.membership.bundle import take_bundle
from appliance.node.handle import Node, open_node
from appliance.provision.apply import THIS_HOST
from appliance.provision.callers import Caller, operators_first
from appliance.trust import rotation
from appliance.trust.bundle import read_bundle
from appliance.trust.identity import Identity, load_identity, shown_keys
from appliance.trust.keys import PublicKeys
from appliance.trust.signed import fingerprint


@click.command()
@click.argument("bundle", metavar="BUNDLE", type=FILE_TYPE)
@dry_run_option
def accept(bundle: Path, dry_run: bool) -> None:
    """Put the signed BUNDLE in force on this node, and admit the nodes that it names to our vault.

    A bundle with a lower serial or of another signer is refused; on a host also one whose firewall would lock out the
    SSH session that brings it.
    """
    layout = this_layout()
    identity = load_identity(layout)
    with naming(bundle, "a bundle"):
        offered = read_bundle(read_file(bundle), identity.territory_key)
    if layout.root == state_of_this_host():
        operators_first(THIS_HOST.root, layout.bundle, offered, identity, Caller(caller_address()))
    taken = take_bundle(layout, identity, offered, dry_run=dry_run)
    data = {**asdict(taken), "accepted": not dry_run}
    if dry_run:
        emit(data, f"Bundle {taken.serial} would replace bundle {taken.before}.")
        return
    emit(data, f"{identity.name} uses bundle {taken.serial} of {offered.territory.name}.")
    _say_next(open_node(layout.root))


@click.command()
def show() -> None:
    """Show this node: its identity, its bundle, and the services that it writes, may open and holds."""
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
        "holds": [it.name for it in terms if opened.name in it.replica_nodes],
        "spare_for": [it.name for it in terms if opened.name in it.spares],
    }


def _has_sshd(layout: NodeLayout) -> bool:
    """Whether the sshd of a node that runs as processes was set up here; on a host the machine's own is used."""
    return (layout.run / "sshd_config").exists()


def _say_next(opened: Node) -> None:
    if opened.name not in opened.bundle.members:
        say(f"This bundle has no keys of {opened.name}: peers will refuse it.")
        say(f"Next: collect them: {command('internal', 'node', 'keys')}")
        return
    if not opened.layout.is_this_host and not _has_sshd(opened.layout):
        say(f"Next, so that peers reach it: {command('internal', 'node', 'sshd')}")
    if rotation.has_former(opened.layout.keys):
        finish = command("internal", "node", "rotate", "--finish")
        say(f"Next, once every node has bundle {opened.bundle.serial}: {finish}")
    for name in _part(opened)["origin_of"]:
        if not opened.service(name).repository.exists():  # a standby that becomes the origin has the chain
            request = f"{name}.request"
            say(f"Next, if {name} is new: {command('backup', 'begin', name, '--out', request)}")
            say(f"If this node replaces another: {command('backup', 'resync', name, '--request', request)}")
