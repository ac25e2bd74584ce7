"""`appliance pki begin` and `sign`: the certificate that issues those of the nodes, under a root that is kept offline.

The control machine begins, and the holder of the root's key signs. No key is ever named in arguments: the
intermediate's comes and goes through pipes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from appliance.cli.arguments import FILE_TYPE, dry_run_option, read_file
from appliance.cli.confirm import confirm
from appliance.cli.output import emit, say
from appliance.clock import SystemClock, utc_text
from appliance.config.load import load
from appliance.errors import UsageError
from appliance.host.files import make_private_folder, write_atomic
from appliance.provision.authority import FOLDER, INTERMEDIATE, ROOT
from appliance.trust import pki as x509
from appliance.units import as_typed

CSR = "intermediate.csr"
folder_argument = click.argument("folder", metavar="[DIR]", default=".", type=FILE_TYPE)


@click.command()
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


@click.command()
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


def _domain(folder: Path) -> str:
    return load(folder).domain
