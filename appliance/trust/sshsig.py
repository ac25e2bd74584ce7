"""SSHSIG signatures with Ed25519 keys, byte for byte those of `ssh-keygen -Y sign` and `-Y verify`.

Source: OpenSSH's PROTOCOL.sshsig and RFC 8709. In process because a vault checks thousands of headers; anybody
can check the same bytes with ssh-keygen (docs/recovery-by-hand.md), and a test does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from appliance.errors import IntegrityError

ALGORITHM = b"ssh-ed25519"
MAGIC = b"SSHSIG"
HASH = b"sha512"
BEGIN = b"-----BEGIN SSH SIGNATURE-----"
END = b"-----END SSH SIGNATURE-----"


def sign(key: Ed25519PrivateKey, namespace: str, message: bytes) -> bytes:
    """The armoured signature of `message` under `namespace`."""
    public = _public_blob(key.public_key().public_bytes_raw())
    signature = _string(ALGORITHM) + _string(key.sign(_signed_bytes(namespace, HASH, message)))
    fields = (public, namespace.encode(), b"", HASH, signature)
    return _armour(MAGIC + struct.pack(">I", 1) + b"".join(_string(field) for field in fields))


def verify(armoured: bytes, namespace: str, message: bytes) -> str:
    """The public key ("ssh-ed25519 AAAA...") that signed `message`; raise IntegrityError when none did.

    Whether that key may sign such a thing is the caller's question.
    """
    public, signed_namespace, hash_name, signature = _parse(armoured)
    if signed_namespace != namespace.encode():
        raise IntegrityError(f"the signature is for {signed_namespace.decode(errors='replace')!r}, not {namespace!r}.")
    if hash_name not in (b"sha512", b"sha256"):
        raise IntegrityError("the signature uses an unknown hash.")
    try:
        Ed25519PublicKey.from_public_bytes(_inner(public)).verify(
            _inner(signature), _signed_bytes(namespace, hash_name, message)
        )
    except (InvalidSignature, ValueError) as error:
        raise IntegrityError("the signature does not match its content.") from error
    return public_text(_inner(public))


def public_text(raw: bytes) -> str:
    """The 32 bytes of an Ed25519 public key as one line of authorized_keys, without comment."""
    return f"ssh-ed25519 {base64.b64encode(_public_blob(raw)).decode()}"


def _signed_bytes(namespace: str, hash_name: bytes, message: bytes) -> bytes:
    digest = hashlib.new(hash_name.decode(), message).digest()
    return MAGIC + b"".join(_string(field) for field in (namespace.encode(), b"", hash_name, digest))


def _public_blob(raw: bytes) -> bytes:
    return _string(ALGORITHM) + _string(raw)


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _take(data: bytes) -> tuple[bytes, bytes]:
    """The first SSH string of `data` and the rest."""
    if len(data) < 4:
        raise IntegrityError("the signature is cut short.")
    (length,) = struct.unpack(">I", data[:4])
    if len(data) < 4 + length:
        raise IntegrityError("the signature is cut short.")
    return data[4 : 4 + length], data[4 + length :]


def _inner(blob: bytes) -> bytes:
    """The payload of an (algorithm, payload) pair; only Ed25519 is accepted."""
    algorithm, rest = _take(blob)
    payload, rest = _take(rest)
    if algorithm != ALGORITHM or rest:
        raise IntegrityError(f"{algorithm.decode(errors='replace')} is not a key type used here; ssh-ed25519 is.")
    return payload


def _parse(armoured: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    lines = armoured.split(b"\n")
    if len(lines) < 4 or lines[0] != BEGIN or lines[-2:] != [END, b""]:
        raise IntegrityError("there is no SSH signature.")
    try:
        blob = base64.b64decode(b"".join(lines[1:-2]), validate=True)
    except binascii.Error as error:
        raise IntegrityError("the signature is not base64.") from error
    # A signature has one form only. Were there others, a node that hands a document on could give it another hash, and
    # make two generations of one without any key.
    if _armour(blob) != armoured:
        raise IntegrityError("the signature does not have the format of ssh-keygen.")
    if blob[:10] != MAGIC + struct.pack(">I", 1):
        raise IntegrityError("the signature has an unknown version.")
    public, rest = _take(blob[10:])
    namespace, rest = _take(rest)
    reserved, rest = _take(rest)
    hash_name, rest = _take(rest)
    signature, rest = _take(rest)
    if rest or reserved:
        raise IntegrityError("the signature has unsigned bytes.")
    return public, namespace, hash_name, signature


def _armour(blob: bytes) -> bytes:
    text = base64.b64encode(blob)
    lines = [text[start : start + 70] for start in range(0, len(text), 70)]
    return b"\n".join((BEGIN, *lines, END)) + b"\n"
