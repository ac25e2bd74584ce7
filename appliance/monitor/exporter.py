"""The exporter of a node: what its agent wrote down, as Prometheus reads it. A process of its own, with nothing else.

    python3 -m appliance.monitor.exporter MEASURES ADDRESS PORT                    on loopback, in clear
    python3 -m appliance.monitor.exporter MEASURES ADDRESS PORT TLS KEY [KEY...]   TLS, for these clients alone

MEASURES is the file that the agent writes (`measures_file.py`). TLS is a folder with certificate.pem, key.pem and
root.pem; a client must have a certificate from that root for one of the public keys KEY, written as in the bundle: what
what was issued for a stolen box's key is good for weeks. The agent is not asked: it is never kept waiting, and when it
stops, its last measures stay, with the moment at which they were taken. One thing the exporter sees for itself: a file
beside MEASURES that `systemd/announce-restart` leaves when the machine restarts.
"""

from __future__ import annotations

import ipaddress
import ssl
import sys
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socket import socket
from typing import Any

from appliance.errors import UsageError
from appliance.host.network.certificate_fields import public_key_in
from appliance.monitor import exposition, measures_file
from appliance.monitor.bounded import Bounded
from appliance.monitor.metrics import METRICS, PATH, RESTARTS, Sample

PER_ADDRESS_MAX = 8
RESTARTING = "restarting"
"""The file beside the sheet that is there from the announcement of a restart until the machine stops; on a host the
folder is one of this boot."""


def render(path: Path) -> bytes:
    """The measures in the sheet `path` in the text format of Prometheus; a metric without samples is not told."""
    restarts = Sample(RESTARTS.name, (), path.with_name(RESTARTING).exists())
    written = (it for it in measures_file.load(path) if it.metric != RESTARTS.name)
    return exposition.render(METRICS, (restarts, *written))


class Certificates:
    """The TLS side: certificates are renewed while this runs, so they are read again when they have changed."""

    def __init__(self, folder: Path, keys: Collection[str]) -> None:
        self._folder = folder
        self._keys = frozenset(keys)
        self._read: tuple[float, ssl.SSLContext] | None = None

    def wrap(self, connection: socket) -> ssl.SSLSocket:
        """The handshake comes with the first byte that is read, in the thread of that connection."""
        return self._context().wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def admits(self, connection: ssl.SSLSocket) -> bool:
        shown = connection.getpeercert(binary_form=True)
        return shown is not None and public_key_in(shown) in self._keys

    def _context(self) -> ssl.SSLContext:
        changed = (self._folder / "certificate.pem").stat().st_mtime
        if self._read is None or self._read[0] != changed:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self._folder / "root.pem")
            context.load_cert_chain(self._folder / "certificate.pem", self._folder / "key.pem")
            self._read = (changed, context)
        return self._read[1]


class Exporter(Bounded):
    """Answers GET /metrics with what is in the sheet `path` at that moment."""

    def __init__(self, path: Path, address: str, port: int, certificates: Certificates | None = None) -> None:
        self.path = path
        self.certificates = certificates
        super().__init__((address, port), Answer, PER_ADDRESS_MAX)

    def get_request(self) -> tuple[Any, Any]:
        connection, peer = super().get_request()
        return (self.certificates.wrap(connection) if self.certificates else connection), peer


class Answer(BaseHTTPRequestHandler):
    server: Exporter

    def do_GET(self) -> None:
        certificates = self.server.certificates
        if certificates and not certificates.admits(self.connection):
            self.send_error(403, "this certificate does not belong to a monitoring node")
        elif self.path != PATH:
            self.send_error(404)
        else:
            self._send(render(self.server.path))

    def _send(self, text: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", exposition.CONTENT_TYPE)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """A scrape each half minute says nothing to anybody."""


def make(words: list[str]) -> Exporter:
    """The exporter for the words of a command line; raise UsageError for one that would answer anybody in clear."""
    path, address, port, *tls = words
    if not tls and not ipaddress.ip_address(address).is_loopback:
        raise UsageError(f"without TLS only loopback is served, not {address}.", remedy="Add TLS and KEY.")
    certificates = Certificates(Path(tls[0]), tls[1:]) if tls else None
    return Exporter(Path(path), address, int(port), certificates)


def main() -> None:
    try:
        with make(sys.argv[1:]) as exporter:
            exporter.serve_forever()
    except UsageError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
