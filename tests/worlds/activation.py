"""A part of systemd, a socket unit with Accept=no: it keeps the socket, starts the program for a caller, and once more
for the next one after it ended."""

from __future__ import annotations

import os
import select
import socket
import subprocess
from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import Self

type Start = Callable[[int], subprocess.Popen[bytes]]
"""Start the program whose socket is open here as that number."""


class Activated:
    """Keeps `listener` and starts a program for a caller; `codes`: how those that ended did."""

    def __init__(self, listener: socket.socket, start: Start) -> None:
        self._listener = listener
        self._start = start
        self._stop, self._stopped = os.pipe()
        self._thread = Thread(target=self._run, daemon=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.codes: list[int] = []
        self.ended = Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._stopped)
        while self._thread.is_alive():
            if self.process is not None:
                self.process.terminate()
            self._thread.join(0.05)
        os.close(self._stop)
        self._listener.close()

    def wait_for_end(self, seconds: float = 60.0) -> None:
        """Wait until the program that runs, or ran last, has ended."""
        assert self.ended.wait(seconds), "the program did not end by itself"

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._listener, self._stop], [], [])
            if self._stop in ready:
                return
            self.ended.clear()
            self.process = self._start(self._listener.fileno())
            self.codes.append(self.process.wait())
            self.ended.set()
