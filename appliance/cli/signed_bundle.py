"""A bundle in a file, for the holder of the territory key: that very key must have signed it."""

from __future__ import annotations

from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.cli.arguments import FILE_TYPE, naming, read_file
from appliance.errors import Refused
from appliance.trust import signed, sshsig
from appliance.trust.bundle import BYTES_MAX, TYPE, Bundle, read_bundle
from appliance.trust.keys import public_line
from appliance.trust.signed import fingerprint

key_option = click.option("--key", required=True, metavar="FILE", type=FILE_TYPE, help="The territory's private key.")


def signed_bundle(file: Path, key: Ed25519PrivateKey) -> Bundle:
    """The bundle in `file`, which `key` signed."""
    raw = read_file(file)
    with naming(file, "a bundle"):
        signer = sshsig.verify(signed.split(raw, TYPE, bytes_max=BYTES_MAX)[1], TYPE, raw[: raw.find(b"\n") + 1])
        if signer != public_line(key):
            what = f"this is not the key that signed the bundle {file} ({fingerprint(signer)} did)."
            raise Refused(what, where="--key", remedy="Name that one with --key.")
        return read_bundle(raw, signer)
