"""Certificates made for tests, and the one that a client is shown."""

from __future__ import annotations

import ssl
from pathlib import Path

from appliance.host.command import run


def make_certificate(folder: Path, name: str, kind: str = "ed25519") -> tuple[Path, Path]:
    """A certificate for `name` and 127.0.0.1, and its key of this kind, in `folder`."""
    cert, key = folder / "fullchain.pem", folder / "privkey.pem"
    folder.mkdir(exist_ok=True)
    words = ("openssl", "req", "-x509", "-newkey", kind, "-nodes", "-days", "1", "-subj", f"/CN={name}")
    words = (*words, "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1", "-out", str(cert), "-keyout", str(key))
    run(words, timeout_seconds=30, check=True)
    return cert, key


def certificate_shown(context: ssl.SSLContext, name: str | None) -> bytes:
    """The certificate that a client is shown who asks by `name`."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    client = trusting.wrap_bio(to_client, to_server, server_hostname=name)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    found = client.getpeercert(binary_form=True)
    assert found is not None
    return found


def der_of(cert: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(cert.read_text())
