"""Which certificate a browser is shown: the territory's own, or that of a public name when it asks by that.

A public authority's certificate lives for weeks and is renewed while the pages are served, so its file is read again
when it has changed. Where it is not there yet, or cannot be read, the territory's own is shown: no page waits for it.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class PublicName:
    """A name that everybody's browser believes, with the files that hold its certificate, chain included, and key."""

    name: str
    certificate: Path
    key: Path
    _read: tuple[int, ssl.SSLContext] | None = field(default=None, repr=False)

    def choose(self, connection: ssl.SSLObject, asked: str | None, context: ssl.SSLContext) -> None:
        """Show this name's certificate to who asked for it; to be a context's `sni_callback`."""
        if asked is not None and asked.lower() == self.name.lower() and (own := self._context()) is not None:
            connection.context = own

    def _context(self) -> ssl.SSLContext | None:
        """None while there is no pair of files that fit each other: a renewal may be under way at this instant."""
        try:
            changed = self.certificate.stat().st_mtime_ns
            if self._read is None or self._read[0] != changed:
                made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                made.load_cert_chain(self.certificate, self.key)
                self._read = changed, made
        except OSError:  # ssl.SSLError is one
            return self._read[1] if self._read else None
        return self._read[1]
