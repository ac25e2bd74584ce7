"""`appliance pki`: certificates for the nodes, from a root that is kept offline.

Three places take part: a node (`csr`, `accept`), the control machine (`begin`, `due`, `issue`) and whoever holds the
root's key (`sign`). No key is ever named in arguments: the intermediate's comes and goes through pipes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from appliance.cli.arguments import FILE_TYPE, dry_run_option, naming, read_file
from appliance.cli.confirm import confirm
from appliance.cli.output import emit, say
from appliance.cli.this_layout import this_layout
from appliance.clock import SystemClock, utc_text
from appliance.errors import UsageError
from appliance.host.files import make_private_folder, write_atomic
from appliance.provision.authority import FOLDER, INTERMEDIATE, ROOT, Authority, Due, open_authority
from appliance.provision.certificate import accept as accept_chain
from appliance.provision.certificate import request
from appliance.trust import pki as x509
from appliance.trust.bundle import read_bundle
from appliance.trust.identity import load_identity, load_territory
from appliance.units import as_typed

CSR = "intermediate.csr"
folder_argument = click.argument("folder", metavar="[DIR]", default=".", type=FILE_TYPE)


@click.group("pki")
def pki() -> None:
    """Manage the TLS certificates of the nodes: an offline root, an intermediate that issues, a list of revoked
    ones."""


@pki.command()
def csr() -> None:
    """Print the certificate request of this node, signed by the TLS key that was made here."""
    layout = this_layout()
    click.echo(request(layout, load_identity(layout).name), nl=False)


@pki.command()
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


@pki.command()
@folder_argument
@dry_run_option
def begin(folder: Path, dry_run: bool) -> None:
    """Make the intermediate's key on the control machine and print it, to be piped into `ansible-vault encrypt`.

    DIR is the folder of territory.yml; its pki/ gets the request for the key holder.
    """
    place = folder / FOLDER
    if dry_run:
        domain = _domain(folder)
        text = f"A key would be made and printed, and its request, for names under {domain}, stored in {place / CSR}."
        emit({"domain": domain, "request": str(place / CSR), "dry_run": True}, text)
        return
    if sys.stdout.isatty():
        raise UsageError(
            "the key would be printed on a terminal.",
            remedy=f"Pipe it into `ansible-vault encrypt --output {place}/intermediate.key`.",
        )
    key = x509.new_key()
    make_private_folder(place)
    write_atomic(place / CSR, x509.to_pem(x509.make_request(key, _domain(folder))))
    say(f"Next, the key holder: {as_typed('appliance', 'pki', 'sign', str(folder))} --root root.key")
    click.echo(x509.key_to_pem(key), nl=False)


@pki.command()
@folder_argument
@click.option(
    "--root", required=True, metavar="FILE", type=FILE_TYPE, help="The root's private key; made when missing."
)
@click.option("--yes", is_flag=True, help="Sign without asking.")
@dry_run_option
def sign(folder: Path, root: Path, yes: bool, dry_run: bool) -> None:
    """Sign the intermediate requested in DIR/pki/intermediate.csr: it may issue for this territory only, for a year.

    The root's key is kept where the territory's key is. Its certificate is made once; the next `territory sign` puts
    its fingerprint in the bundle, and nodes accept no other root.
    """
    place, now = folder / FOLDER, SystemClock().now()
    asked = x509.read_request(read_file(place / CSR), str(place / CSR))
    domain = _domain(folder)
    shown = {"domain": domain, "key": x509.public_of(asked), "written": not dry_run}
    text = f"The intermediate with the key {shown['key']}, for names under {domain}"
    if dry_run:
        emit(shown, f"{text} would be signed.")
        return
    confirm(f"{text}.", "Sign it?", yes=yes)
    if not root.exists() and (place / ROOT).exists():
        raise UsageError("the key of the current root is missing.", where=str(root), remedy="Name it.")
    if not root.exists():
        write_atomic(root, x509.key_to_pem(x509.new_key()), mode=0o600)
    key = x509.read_key(read_file(root), str(root))
    if not (place / ROOT).exists():
        write_atomic(place / ROOT, x509.to_pem(x509.make_root(key, domain, now)))
    (certificate,) = x509.read_certificates(read_file(place / ROOT), str(place / ROOT))
    made = x509.make_intermediate(key, certificate, asked, domain, now)
    x509.check_issued(made, certificate, now)
    write_atomic(place / INTERMEDIATE, x509.to_pem(made))
    emit(shown, f"{text} is signed until {utc_text(made.not_valid_after_utc.timestamp())[:10]}.")
    say("Next, if the root is new: appliance territory sign, which names it in the bundle.")


@pki.command()
@folder_argument
def due(folder: Path) -> None:
    """List the nodes that need a certificate, and whether the list of revoked ones is due. It needs no key."""
    found = _open(folder).due(SystemClock().now())
    emit(_json(found), _text(found, "wants"))


@pki.command()
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


def _domain(folder: Path) -> str:
    # Nodes need not pay for reading a territory.yml.
    from appliance.config.load import load

    return load(folder).domain


def _json(found: Due) -> dict[str, Any]:
    return {"nodes": list(found.nodes), "revoked": found.revoked, "due": bool(found.nodes or found.revoked)}


def _text(found: Due, verb: str) -> str:
    lines = [f"{name} {verb} a certificate." for name in found.nodes]
    lines += [f"The list of revoked certificates {'is due' if verb == 'wants' else 'was renewed'}."] * found.revoked
    return "\n".join(lines) or "Nothing is due."
