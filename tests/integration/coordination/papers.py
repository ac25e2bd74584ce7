"""Certificates as the territory issues them: a root, an intermediate of it, and one for each node."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

from appliance.trust import pki
from tests.integration.coordination.worlds import NODES

DOMAIN = "test.internal"


def authority(folder: Path) -> Path:
    """`folder` with root.pem, and for each of NODES its chain NODE.pem and its key NODE.key."""
    folder.mkdir()
    now = time.time()
    root_key, key = pki.new_key(), pki.new_key()
    root = pki.make_root(root_key, DOMAIN, now)
    issuer = pki.make_intermediate(root_key, root, pki.make_request(key, "nodes"), DOMAIN, now)
    (folder / "root.pem").write_bytes(pki.to_pem(root))
    for node in NODES:
        own = pki.new_key()
        request = pki.make_request(own, node)
        issued = pki.issue(key, issuer, request, node, pki.public_of(request), now)
        (folder / f"{node}.pem").write_bytes(pki.to_pem(issued) + pki.to_pem(issuer))
        (folder / f"{node}.key").write_bytes(pki.key_to_pem(own))
    return folder


def context(believes: Path, shows: Path | None, node: str = "commune-a") -> ssl.SSLContext:
    """For a client that believes the root in one folder and shows `node`'s certificate of another, or none."""
    made = ssl.create_default_context(cafile=believes / "root.pem")
    if shows is not None:
        made.load_cert_chain(shows / f"{node}.pem", shows / f"{node}.key")
    return made


def server_context(papers: Path, node: str) -> ssl.SSLContext:
    """For a server on `node` that asks every caller for its certificate."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=papers / "root.pem")
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_cert_chain(papers / f"{node}.pem", papers / f"{node}.key")
    return made
