"""The node's journal: one event a line, appended in one write, with names and numbers; never a secret, never a file
name of a user's.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appliance.clock import Clock, utc_text


class Journal:
    """The file at `path`; with None the journal of the machine, by way of standard error: another account's file is
    not ours to write."""

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def write(self, event: str, **details: Any) -> None:
        """Append `event`; O_APPEND keeps lines of several processes whole."""
        line = json.dumps({"time": utc_text(self._clock.now()), "event": event, **details}, ensure_ascii=False)
        if self._path is None:
            print(line, file=sys.stderr, flush=True)
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(fd, line.encode() + b"\n")
        finally:
            os.close(fd)

    def note(self, event: str, **details: Any) -> None:
        """As `write`, by who must go on: on a full disk only the line is missing."""
        with contextlib.suppress(OSError):
            self.write(event, **details)

    def events(self, event: str | None = None) -> Iterator[dict[str, Any]]:
        """The events, oldest first; a line cut by a power failure is passed over."""
        if self._path is None:
            return
        try:
            lines = self._path.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if event is None or entry.get("event") == event:
                yield entry
