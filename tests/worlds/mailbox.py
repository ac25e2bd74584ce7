"""A mail server without TLS: it takes every letter, and writes down when it came and what it says.

    ip netns exec NODE python3 -m tests.worlds.mailbox PORT FILE

FILE gets a line of JSON for each letter: `time` (UTC seconds), `subject` and `text`.
"""

from __future__ import annotations

import json
import socketserver
import sys
import time
from email import message_from_bytes
from email.policy import default
from pathlib import Path

ANSWERS = {b"EHLO": b"250 mailbox\r\n", b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}


class Call(socketserver.StreamRequestHandler):
    server: Mailbox

    def handle(self) -> None:
        self.wfile.write(b"220 mailbox\r\n")
        while words := self.rfile.readline().split():
            self.wfile.write(ANSWERS.get(words[0].upper(), b"250 good\r\n"))
            if words[0].upper() == b"DATA":
                self.server.keep(b"".join(iter(self.rfile.readline, b".\r\n")))
                self.wfile.write(b"250 good\r\n")


class Mailbox(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

    def __init__(self, port: int, file: Path) -> None:
        self._file = file
        super().__init__(("127.0.0.1", port), Call)

    def keep(self, letter: bytes) -> None:
        read = message_from_bytes(letter, policy=default)
        line = {"time": time.time(), "subject": str(read["Subject"]), "text": read.get_content()}
        with self._file.open("a") as file:
            file.write(json.dumps(line) + "\n")


def main() -> None:
    port, file = sys.argv[1:]
    with Mailbox(int(port), Path(file)) as mailbox:
        mailbox.serve_forever()


if __name__ == "__main__":
    main()
