"""A small service for process mode: a share to which clients add numbers, over HTTP. It knows nothing of leases.

    POST /NUMBER   adds it; the answer comes once it is on the disk
    GET /          node, epoch, when the copy is of, and all numbers
    GET /health    whether it runs

It answers at the service's address alone, while MARKS.address is there, and lets clients wait while MARKS.held is; for
reading only, it is a copy that anybody may look at.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LOOK_EVERY_SECONDS = 0.02
WAIT_SECONDS_MAX = 60.0
FILE = "numbers"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(200, {"node": self.server.node})
        elif not self.server.read_only and not self._is_at_its_address():
            self._answer(503, {"error": "the service is not here"})
        else:
            self._answer(200, self.server.told())

    def do_POST(self) -> None:
        if self.server.read_only:
            self._answer(403, {"error": "this is a copy, for reading only"})
            return
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while self.server.mark("held") and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_SECONDS)
        if not self._is_at_its_address() or self.server.mark("held"):
            self._answer(503, {"error": "the service is not here"})
            return
        self.server.add(int(self.path.lstrip("/")))
        self._answer(200, {"node": self.server.node, "epoch": self.server.epoch})

    def _is_at_its_address(self) -> bool:
        return self.server.mark("address")

    def _answer(self, code: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Every request would be a line."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, words: argparse.Namespace) -> None:
        super().__init__(("127.0.0.1", words.port), Handler)
        self.node, self.epoch, self.read_only = words.node, words.epoch, words.read_only
        self._marks = words.marks
        self._file = Path(words.folder) / FILE

    def mark(self, what: str) -> bool:
        return os.path.exists(f"{self._marks}.{what}")

    def add(self, number: int) -> None:
        fd = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(fd, f"{number}\n".encode())
            os.fsync(fd)
        finally:
            os.close(fd)

    def told(self) -> dict[str, Any]:
        there = self._file.exists()
        numbers = [int(text) for text in self._file.read_text().split()] if there else []
        dated = self._file.stat().st_mtime if there else 0.0
        return {"node": self.node, "epoch": self.epoch, "copy": self.read_only, "dated": dated, "numbers": numbers}


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("folder", "marks", "node"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--epoch", type=int, default=0)
    parser.add_argument("--read-only", action="store_true")
    words = parser.parse_args()
    os.makedirs(words.folder, exist_ok=True)
    Server(words).serve_forever()


if __name__ == "__main__":
    main()
