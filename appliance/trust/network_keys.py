"""The keys that a node shows to networks: WireGuard's and TLS', in the formats that `wg` and OpenSSL read."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from appliance.errors import IntegrityError
from appliance.host.files import write_atomic
from appliance.host.layout import MESH_KEY

TLS = "tls.pem"
MESH_KEY_BYTES = 32
CURVE = "secp256r1"  # what every browser and Go's TLS accept


def create_mesh_key(folder: Path) -> str:
    """Make WireGuard's key as `folder`/mesh, as `wg genkey` would; return the public half in base64."""
    path = folder / MESH_KEY
    if not path.exists():
        raw = X25519PrivateKey.generate().private_bytes_raw()
        write_atomic(path, base64.b64encode(raw) + b"\n", mode=0o600)
    try:
        key = X25519PrivateKey.from_private_bytes(base64.b64decode(path.read_bytes().strip(), validate=True))
    except (ValueError, binascii.Error) as error:
        raise IntegrityError("this is not a private key of WireGuard.", where=str(path)) from error
    return _write_public(path.with_name("mesh.pub"), base64.b64encode(key.public_key().public_bytes_raw()).decode())


def create_tls_key(folder: Path) -> str:
    """Make the TLS key as `folder`/tls.pem (P-256, PKCS 8); return the public half: base64 of its DER."""
    path = folder / TLS
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        private = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_atomic(path, private, mode=0o600)
    public = _tls_key(path).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _write_public(path.with_name("tls.pub"), base64.b64encode(der).decode())


def is_mesh_key(text: str) -> bool:
    """Whether `text` is a public key of WireGuard and nothing besides."""
    raw = _decoded(text)
    return len(raw) == MESH_KEY_BYTES and _same(raw, text)


def is_tls_key(text: str) -> bool:
    """Whether `text` is the public half of a TLS key of ours and nothing besides."""
    raw = _decoded(text)
    try:
        key = serialization.load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        return False
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == CURVE and _same(raw, text)


def _same(raw: bytes, text: str) -> bool:
    return base64.b64encode(raw).decode() == text


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""


def _tls_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise IntegrityError("this is not an unencrypted private key.", where=str(path)) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise IntegrityError("this is not a key on an elliptic curve.", where=str(path))
    return key


def _write_public(path: Path, text: str) -> str:
    if not path.exists() or path.read_text().strip() != text:
        write_atomic(path, text.encode() + b"\n")
    return text
