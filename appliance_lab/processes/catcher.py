"""A stand-in for a webhook: an HTTP server on loopback that keeps every notification, and can be made to refuse."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Told:
    """One alert in a notification that was caught; `began` is when it did, seconds UTC."""

    alert: str
    status: str
    labels: dict[str, str]
    summary: str
    began: float


@dataclass
class Catcher:
    """A context; `refuse_with` is the status that it answers instead of taking anything."""

    caught: list[dict[str, Any]] = field(default_factory=list)
    refuse_with: int = 0

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def told(self, alert: str = "", **labels: str) -> tuple[Told, ...]:
        """Every alert of that name and with these labels that was notified, in order; one that goes on is told again in
        each notification of its group."""
        found = [_told(it) for notification in list(self.caught) for it in notification["alerts"]]
        return tuple(it for it in found if alert in ("", it.alert) and labels.items() <= it.labels.items())


def _told(alert: dict[str, Any]) -> Told:
    labels, annotations = alert["labels"], alert["annotations"]
    began = datetime.fromisoformat(alert["startsAt"]).timestamp()
    return Told(labels["alertname"], alert["status"], labels, annotations.get("summary", ""), began)


def _handler(catcher: Catcher) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if not catcher.refuse_with:
                catcher.caught.append(json.loads(body))
            self.send_response(catcher.refuse_with or 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    return Handler
