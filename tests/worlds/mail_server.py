"""A mail server for tests, without encryption, with STARTTLS, or encrypted from the first byte on."""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from appliance.host.network import netns


class MailServer(socketserver.StreamRequestHandler):
    """As much of SMTP as a client of ours says."""

    letters: list[bytes]
    tls: ssl.SSLContext | None
    implicit: bool

    def handle(self) -> None:
        if self.implicit:
            self.encrypt()
        self.wfile.write(b"220 mail\r\n")
        while line := self.rfile.readline().strip().upper():
            if line == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                letter = b""
                while not letter.endswith(b"\r\n.\r\n"):
                    letter += self.rfile.readline()
                self.letters.append(letter)
            self.wfile.write(self.answers.get(line.split()[0], b"250 good\r\n"))
            if line == b"STARTTLS":
                self.encrypt()

    answers: Mapping[bytes, bytes] = {
        b"EHLO": b"250-mail\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n",
        b"AUTH": b"235 it is you\r\n",
        b"STARTTLS": b"220 go on\r\n",
        b"QUIT": b"221 bye\r\n",
    }

    def encrypt(self) -> None:
        assert self.tls
        self.request = self.tls.wrap_socket(self.request, server_side=True)
        self.setup()

    def finish(self) -> None:
        super().finish()
        self.request.close()


@contextmanager
def mail_server(
    tls: ssl.SSLContext | None = None,
    *,
    implicit: bool = False,
    address: tuple[str, int] = ("127.0.0.1", 0),
    namespace: str | None = None,
) -> Iterator[tuple[int, list[bytes]]]:
    """Its port, and the letters that it took; at `address` of that network namespace."""
    handler = type("Handler", (MailServer,), {"letters": [], "tls": tls, "implicit": implicit})
    with netns.within(namespace, lambda: socketserver.TCPServer(address, handler)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1], handler.letters
        finally:
            server.shutdown()
            thread.join()
