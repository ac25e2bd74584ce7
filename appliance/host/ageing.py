"""The ageing clock: seconds this machine has been up, added over all its starts. It never goes back and nobody can
set it.

Retention counts in it. A wrong or forged wall clock then neither expires a generation early nor keeps it for ever; a
machine that was off for a week only thins a week later.
"""

from __future__ import annotations

import json
from pathlib import Path

from appliance.clock import Clock
from appliance.host.files import locked, write_atomic

PERSIST_EVERY_SECONDS = 60.0


class AgeingClock:
    """Reads and keeps the age in `path`; after a power cut at most the last minute of ageing is lost, never gained."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def now(self) -> int:
        """The age in whole seconds."""
        with locked(self._path.with_suffix(".lock"), what="the ageing clock", wait=True):
            saved_age, saved_boot, saved_boottime = self._load()
            boottime, boot = self._clock.boottime(), self._clock.boot_id()
            since = boottime - saved_boottime if boot == saved_boot else boottime
            age = saved_age + max(0.0, since)
            if boot != saved_boot or since >= PERSIST_EVERY_SECONDS:
                state = {"age_seconds": age, "boot_id": boot, "boottime": boottime}
                write_atomic(self._path, json.dumps(state).encode(), mode=0o600)
            return int(age)

    def _load(self) -> tuple[float, str, float]:
        try:
            state = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            # A first start: what ran before we were installed is nobody's age.
            return 0.0, self._clock.boot_id(), self._clock.boottime() - PERSIST_EVERY_SECONDS
        return float(state["age_seconds"]), str(state["boot_id"]), float(state["boottime"])
