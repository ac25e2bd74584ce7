"""Exporters and other programs that answer at a port of this machine, in threads of the test."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.monitor import measures_file, metrics
from appliance.monitor.metrics import Sample
from appliance.portal.dashboard.targets import Target

LOOPBACK = "127.0.0.1"


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[Target]:
    """Answer each caller by `answer`, whatever it asks."""
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                with line:
                    try:
                        line.recv(4096)
                        answer(line)
                    except OSError:
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Target(LOOPBACK, server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def measured(path: Path, node: str, *more: Sample) -> Path:
    """The sheet of a node that looked just now and whose checks are well."""
    looked = Sample(metrics.LOOKED.name, (), time.time())
    measures_file.save(path, (looked, Sample(metrics.CHECK.name, ("agent", "node", node), 0.0), *more))
    return path


def nobody() -> Target:
    with socket.create_server((LOOPBACK, 0)) as server:
        return Target(LOOPBACK, server.getsockname()[1])
