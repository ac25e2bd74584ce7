"""Programs that serve people in process mode: started in a session of their own, found again by their number.

Marks stand here for the units, addresses and mounts of a host: files that such a program looks at with every request.
It answers at the service's address while MARKS.address is there, and lets writers wait while MARKS.held is.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.host.detached import start_detached
from appliance.host.processes import Process, process

START_SECONDS_MAX = END_SECONDS_MAX = 5.0
LOOK_EVERY_SECONDS = 0.002
_NOTE_ITSELF = 'echo $$ >"$0" && exec "$@"'


@dataclass(frozen=True)
class Program:
    """The program that serves `name` here; `folder` holds its marks and the number of its process."""

    name: str
    folder: Path

    def mark(self, what: str) -> Path:
        return self.folder / f"{self.name}.{what}"

    def is_set(self, what: str) -> bool:
        # Asked several times a second: no Path for it.
        return os.path.exists(f"{self.folder}/{self.name}.{what}")

    def running(self) -> Process | None:
        """Its process; None when it does not run. A number that was given to another one since is not it."""
        try:
            with open(f"{self.folder}/{self.name}.program") as file:
                pid, started = map(int, file.read().split())
        except (OSError, ValueError):
            return None
        found = process(pid)
        return found if found and found.started == started else None

    def start(self, argv: Sequence[str], env: dict[str, str]) -> Process | None:
        """Start it unless it runs; None when it ended at once."""
        if (found := self.running()) is not None:
            return found
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        note = self.mark("pid")
        note.unlink(missing_ok=True)
        start_detached(("sh", "-c", _NOTE_ITSELF, str(note), *argv), log=self.mark("log"), env=env)
        return self._found(note)

    def _found(self, note: Path) -> Process | None:
        """It notes its number before it becomes what it is, a moment after `setsid --fork` has returned."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while not (text := note.read_text().strip() if note.exists() else "") and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_SECONDS)
        found = process(int(text)) if text else None
        if found is not None:
            self.mark("program").write_text(f"{found.pid} {found.started}")
        return found

    def end(self) -> None:
        """End it and all that it started, now."""
        found = self.running()
        if found is not None:
            os.killpg(found.pid, signal.SIGKILL)
            found.wait_end(END_SECONDS_MAX)
        self.mark("program").unlink(missing_ok=True)

    def set(self, what: str, there: bool) -> None:
        if there:
            self.mark(what).touch()
        else:
            self.mark(what).unlink(missing_ok=True)
