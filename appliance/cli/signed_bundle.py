"""A bundle in a file, for the holder of the territory key: that very key must have signed it."""

from __future__ import annotations

from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.cli.arguments import FILE_TYPE, naming, read_file
from appliance.cli.output import say
from appliance.config.remember import carry_on
from appliance.errors import ApplianceError, Refused
from appliance.host.files import write_atomic
from appliance.trust import signed, sshsig
from appliance.trust.bundle import BYTES_MAX, TYPE, Bundle, read_bundle
from appliance.trust.keys import load_key, public_line
from appliance.trust.signed import fingerprint

key_option = click.option("--key", required=True, metavar="FILE", type=FILE_TYPE, help="The territory's private key.")


def signed_bundle(file: Path, key: Ed25519PrivateKey) -> Bundle:
    """The bundle in `file`, which `key` signed."""
    raw = read_file(file)
    with naming(file, "a bundle"):
        signer = sshsig.verify(signed.split(raw, TYPE, bytes_max=BYTES_MAX)[1], TYPE, raw[: raw.find(b"\n") + 1])
        if signer != public_line(key):
            what = f"this key did not sign the bundle {file}; {fingerprint(signer)} did."
            raise Refused(what, where="--key", remedy="Name that one with --key.")
        return read_bundle(raw, signer, in_force=True)


def bundle_to_follow(file: Path, key_file: Path) -> tuple[Bundle, tuple[str, ...]]:
    """The bundle in `file` as the next one follows it, and what it had forgotten: a former version may have signed it
    since this one last did with the key in `key_file`."""
    key, kept = load_key(key_file), beside_key(key_file)
    before = signed_bundle(file, key)
    return carry_on(signed_bundle(kept, key), before) if kept.exists() else (before, ())


def keep_beside_key(key_file: Path, raw: bytes) -> None:
    """Remember the bundle that was signed; a medium that takes nothing must not stop who signs."""
    try:
        write_atomic(beside_key(key_file), raw, mode=0o600)
    except (OSError, ApplianceError) as error:
        say(
            f"The bundle could not be stored beside the key ({error}): if an older version of the appliance signs "
            "the next bundle, what it leaves out is not noticed."
        )


def beside_key(key_file: Path) -> Path:
    """The last bundle that this version signed with the key; as public as any bundle."""
    return key_file.with_name(f"{key_file.name}.signed")
