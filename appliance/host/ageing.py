"""The ageing clock: seconds this machine has been up, added over all its starts. It never goes back and nobody can
set it.

Retention counts in it. A wrong or forged wall clock then neither expires a generation early nor keeps it for ever; a
machine that was off for a week only prunes a week later.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

from appliance.clock import Clock
from appliance.errors import NoSpace
from appliance.host.files import locked, write_atomic

PERSIST_EVERY_SECONDS = 60.0


@dataclass(frozen=True)
class _State:
    """The age now, and whether it is time to write it down."""

    age: float
    boot: str
    boottime: float
    is_due: bool


class AgeingClock:
    """Reads and keeps the age in `path`; after a power cut what it aged since it was last asked is lost, never gained.

    On a host `appliance-seal.timer` asks each quarter of an hour, and every request to the vault does.

    On a full disk it goes on from what was kept last, since pruning needs it to make room; a restart of the
    machine before there is room again loses what it aged meanwhile.

    An account that may not write there only reads (`keep` is False): another one of this machine keeps the age.
    """

    def __init__(self, path: Path, clock: Clock, *, keep: bool = True) -> None:
        self._path = path
        self._clock = clock
        self._keep = keep

    def now(self) -> int:
        """The age in whole seconds."""
        if not self._keep:
            return int(self._state().age)
        with locked(self._path.with_suffix(".lock"), what="the ageing clock", wait=True):
            state = self._state()
            if state.is_due:
                kept = {"age_seconds": state.age, "boot_id": state.boot, "boottime": state.boottime}
                with contextlib.suppress(NoSpace):
                    write_atomic(self._path, json.dumps(kept).encode())
            return int(state.age)

    def _state(self) -> _State:
        saved_age, saved_boot, saved_boottime = self._load()
        boottime, boot = self._clock.boottime(), self._clock.boot_id()
        since = boottime - saved_boottime if boot == saved_boot else boottime
        is_due = boot != saved_boot or since >= PERSIST_EVERY_SECONDS
        return _State(saved_age + max(0.0, since), boot, boottime, is_due)

    def _load(self) -> tuple[float, str, float]:
        try:
            state = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            # A first start: what ran before we were installed is nobody's age.
            return 0.0, self._clock.boot_id(), self._clock.boottime() - PERSIST_EVERY_SECONDS
        return float(state["age_seconds"]), str(state["boot_id"]), float(state["boottime"])
