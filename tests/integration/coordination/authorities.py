"""Certificates as the territory issues them: a root, an intermediate of it, and one for each node."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

from appliance.trust import pki
from appliance.units import DAY
from tests.integration.coordination.worlds import NODES

DOMAIN = "test.internal"


def authority(folder: Path, *, days: int = 0) -> Path:
    """`folder` with root.pem, for each of NODES its chain NODE.pem and its key NODE.key, the key issuer.key of who
    issued them, and revoked.pem, on which nobody is; all issued `days` from now."""
    folder.mkdir()
    now = time.time() + days * DAY
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
    (folder / "issuer.key").write_bytes(pki.key_to_pem(key))
    (folder / "revoked.pem").write_bytes(revoked(folder))
    return folder


def revoked(papers: Path, *nodes: str, days_ago: int = 0) -> bytes:
    """The list that was made so long ago of the certificates of `nodes`; it is good for 60 days."""
    own = {node: pki.read_certificates((papers / f"{node}.pem").read_bytes()) for node in NODES}
    issuer = own[NODES[0]][1]
    key = pki.read_key((papers / "issuer.key").read_bytes())
    return pki.to_pem(pki.make_list(key, issuer, (own[node][0] for node in nodes), time.time() - days_ago * DAY))


def key_of(papers: Path, node: str) -> str:
    """The public TLS key of `node`, as the bundle has it."""
    return pki.public_of(pki.read_certificates((papers / f"{node}.pem").read_bytes())[0])


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
