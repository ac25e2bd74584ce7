"""A node's keys are created on it and never leave it; stock formats, so that ssh-keygen and age read them too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance import typed
from appliance.errors import IntegrityError, NotFound
from appliance.host.command import run
from appliance.host.files import make_private_folder, read_named, write_atomic
from appliance.trust.network_keys import create_mesh_key, create_tls_key
from appliance.trust.sshsig import public_text
from appliance.units import KIB

PURPOSES = ("sign", "ssh", "host")
NETWORK = ("mesh", "tls")
KEY_BYTES_MAX = 64 * KIB


@dataclass(frozen=True)
class PublicKeys:
    """The keys that a node shows: `sign` checks its headers and receipts, `ssh` lets it in, `host` names its sshd,
    `age` seals to it. `mesh` and `tls` are what it shows to networks; "" for a node that was made before there were
    any."""

    sign: str
    ssh: str
    host: str
    age: str
    mesh: str = ""
    tls: str = ""


def create_keys(folder: Path) -> PublicKeys:
    """Make a node's keys in `folder`; keys that exist are kept, so a cut in the middle is repaired by calling again."""
    make_private_folder(folder)
    for purpose in PURPOSES:
        create_key(folder / f"{purpose}_ed25519")
    age = folder / "age"
    if not age.exists():
        identity = run(("age-keygen",), timeout_seconds=30, check=True).stdout
        write_atomic(age, identity, mode=0o600)
    public = run(("age-keygen", "-y", str(age)), timeout_seconds=30, check=True).stdout
    write_atomic(folder / "age.pub", public)
    create_mesh_key(folder)
    create_tls_key(folder)
    return read_public_keys(folder)


def create_key(path: Path) -> str:
    """Make an Ed25519 key in OpenSSH's format at `path` and its public line beside it; return that line."""
    if not path.exists():
        write_atomic(path, _private_bytes(Ed25519PrivateKey.generate()), mode=0o600)
    public = public_line(load_key(path))
    write_atomic(path.with_name(path.name + ".pub"), public.encode() + b"\n")
    return public


def load_key(path: Path) -> Ed25519PrivateKey:
    """The private key at `path`; raise NotFound, UsageError or IntegrityError with the path."""
    try:
        key = serialization.load_ssh_private_key(read_named(path, KEY_BYTES_MAX), password=None)
    except NotFound as error:
        raise NotFound("the key is missing.", where=str(path)) from error
    except (ValueError, TypeError) as error:
        raise IntegrityError("this is not an unencrypted OpenSSH private key.", where=str(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise IntegrityError("this is not an Ed25519 key.", where=str(path), remedy="Use `ssh-keygen -t ed25519`.")
    return key


def public_line(key: Ed25519PrivateKey) -> str:
    return public_text(key.public_key().public_bytes_raw())


def read_public_keys(folder: Path) -> PublicKeys:
    """The public halves of the keys in `folder`."""
    lines = {name: _read_line(folder / f"{name}_ed25519.pub") for name in PURPOSES}
    network = {name: _read_line(path) for name in NETWORK if (path := folder / f"{name}.pub").exists()}
    return PublicKeys(**lines, age=_read_line(folder / "age.pub"), **network)


def _read_line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError as error:
        raise NotFound(
            "the key is missing.", where=str(path), remedy=f"Make the node's keys: `{typed.INIT}`."
        ) from error


def _private_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
