"""`appliance internal pki`: certificates asked for and put in force on a node, and issued on the control machine.

A node has `csr` and `accept`, the control machine `due` and `issue`. The key of the intermediate comes through a pipe.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from appliance.cli.arguments import FILE_TYPE, dry_run_option, naming, read_file
from appliance.cli.output import emit
from appliance.cli.this_layout import this_layout
from appliance.clock import SystemClock
from appliance.provision.authority import FOLDER, Authority, Due, open_authority
from appliance.provision.certificate import accept as accept_chain
from appliance.provision.certificate import request
from appliance.trust import pki as x509
from appliance.trust.bundle import read_bundle
from appliance.trust.identity import load_identity, load_territory

folder_argument = click.argument("folder", metavar="[DIR]", default=".", type=FILE_TYPE)


@click.command()
def csr() -> None:
    """Print the certificate request of this node, signed by the TLS key that was made here."""
    layout = this_layout()
    click.echo(request(layout, load_identity(layout).name), nl=False)


@click.command()
@click.argument("chain", metavar="CHAIN", type=FILE_TYPE)
@dry_run_option
def accept(chain: Path, dry_run: bool) -> None:
    """Install the certificate chain in the file CHAIN on this node, with the list of revoked certificates.

    A chain that does not lead to the root named in the signed bundle, or has another key, is refused.
    """
    layout = this_layout()
    identity, bundle = load_territory(layout)
    raw = read_file(chain)
    if dry_run:
        emit({"changed": []}, f"{chain} would be checked and stored in {layout.tls}.")
        return
    with naming(chain, "a chain of certificates"):
        changed = accept_chain(layout, bundle, identity.name, raw, SystemClock().now())
    emit({"changed": list(changed)}, "\n".join(f"changed: {it}" for it in changed) or "Nothing to change.")


@click.command()
@folder_argument
def due(folder: Path) -> None:
    """List the nodes that need a certificate, and whether the list of revoked ones is due. It needs no key."""
    found = _open(folder).due(SystemClock().now())
    emit(_json(found), _text(found, "wants"))


@click.command()
@folder_argument
@dry_run_option
def issue(folder: Path, dry_run: bool) -> None:
    """Issue what is due; the intermediate's key is read from standard input.

    A request with another TLS key than the one in the bundle is refused; the other nodes still get theirs.
    """
    authority, now = _open(folder), SystemClock().now()
    if dry_run:
        emit(_json(authority.due(now)), _text(authority.due(now), "would get"))
        return
    key = x509.read_key(sys.stdin.buffer.read(), "standard input")
    done = authority.issue(key, now)
    emit(_json(done), _text(done, "got"))


def _open(folder: Path) -> Authority:
    signer = " ".join(read_file(folder / "territory.pub").decode("utf-8", "replace").split()[:2])
    with naming(folder / "bundle", "a bundle"):
        bundle = read_bundle(read_file(folder / "bundle"), signer, in_force=True)
    return open_authority(folder / FOLDER, bundle, SystemClock().now())


def _json(found: Due) -> dict[str, Any]:
    return {"nodes": list(found.nodes), "revoked": found.revoked, "due": bool(found.nodes or found.revoked)}


def _text(found: Due, verb: str) -> str:
    lines = [f"{name} {verb} a certificate." for name in found.nodes]
    lines += [f"The list of revoked certificates {'is due' if verb == 'wants' else 'was renewed'}."] * found.revoked
    return "\n".join(lines) or "Nothing is due."
