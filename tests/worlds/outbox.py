"""The queue of a monitoring node, served by a thread of the test, and the roster by which it calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from appliance.monitor.outbox_server import Queue
from appliance.territory.duty import after, week_at
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


def duty(urgent_after_seconds: float) -> dict[str, Any]:
    """A roster of which Alice has this week and the next one, should it begin meanwhile, and Bob comes after her."""
    week = week_at(time.time(), ZoneInfo("Europe/Paris"))
    return {
        "steps": 2,
        "timezone": "Europe/Paris",
        "rotation": [],
        "since": "",
        "weeks": {it: ["alice", "bob"] for it in (week, after(week, 1))},
        "changes_at": "08:00",
        "urgent_after_seconds": urgent_after_seconds,
        "other_after_seconds": 3600,
        "persons": [{"name": it, "title": it, "addressees": [it], "touches": []} for it in ("alice", "bob")],
        "sites": {"commune-b": "commune-b"},
    }
