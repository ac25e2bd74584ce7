"""TLS between nodes and brokers, by the certificate that the node has from its territory (`STATE/tls`)."""

from __future__ import annotations

import ssl
from asyncio.sslproto import SSLProtocol
from pathlib import Path

from appliance.errors import NotFound
from appliance.units import KIB

REMEDY = (
    "Issue one: `appliance internal pki issue` on the control machine, then `appliance internal pki accept CHAIN` here."
)
BUFFER_BYTES = 32 * KIB
"""The buffer of each connection for incoming bytes: asyncio takes 256 KiB. A record of TLS has 16 KiB at most; a node
has ten connections to brokers and a broker a hundred from nodes, and what they say is short."""


def client_tls(folder: Path) -> ssl.SSLContext:
    """For a node that calls brokers, or etcd beside it: it believes the territory's root alone."""
    return _load(ssl.create_default_context(cafile=_file(folder, "root.pem")), folder)


def server_tls(folder: Path) -> ssl.SSLContext:
    """For a broker: every caller shows a certificate that the territory issued."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=_file(folder, "root.pem"))
    made.verify_mode = ssl.CERT_REQUIRED
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    return _load(made, folder)


def _load(made: ssl.SSLContext, folder: Path) -> ssl.SSLContext:
    SSLProtocol.max_size = BUFFER_BYTES
    made.load_cert_chain(_file(folder, "certificate.pem"), _file(folder, "key.pem"))
    return made


def _file(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.exists():
        raise NotFound("this node has no certificate yet.", where=str(path), remedy=REMEDY)
    return path
