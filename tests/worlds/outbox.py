"""The queue of a monitoring node, served by a thread of the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from appliance.monitor.outbox_server import Queue
from appliance_lab.processes.node import free_ports


@contextmanager
def served_queue(settings: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """The address of a queue with `settings` that keeps its letters in `folder`."""
    [port] = free_ports("127.0.0.1", 1)
    with Queue(settings, folder, port) as made:
        thread = threading.Thread(target=made.run)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            made.shutdown()
            thread.join()
