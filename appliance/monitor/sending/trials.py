"""When each addressee last took a test message that came by Alertmanager: the whole way of an alert.

An addressee who is new here counts from that moment: the first test message is due within a month.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from appliance.errors import UsageError
from appliance.host.records import Record
from appliance.monitor.letter import TRIAL

FILE = "trials"
TIMES = Record(dict[str, float])


def is_trial(notification: Mapping[str, Any]) -> bool:
    alerts = notification.get("alerts", ())
    return bool(alerts) and all(it.get("labels", {}).get("severity") == TRIAL for it in alerts)


class Trials:
    """The times in the folder of the queue, UTC seconds; of those in `addressees` alone."""

    def __init__(self, root: Path, addressees: Collection[str], now: float) -> None:
        self._file, self._lock = root / FILE, threading.Lock()
        known = TIMES.load_or(self._file, {})  # without it each addressee counts from now
        self._times = {to: known.get(to, now) for to in addressees}
        if self._times != known:
            self._keep()

    def taken(self, to: str, now: float) -> None:
        """Raise OSError where the disk does not keep it."""
        with self._lock:
            self._times[to] = now
            self._keep()

    def times(self) -> Mapping[str, float]:
        with self._lock:
            return dict(self._times)

    def _keep(self) -> None:
        TIMES.save(self._file, self._times)


def own_alertmanager(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of `settings` that names the Alertmanager of this node; raise UsageError where none does."""
    named: Mapping[str, Any] = settings.get("alertmanagers", {})
    if not named.get("urls"):
        remedy = "Play site.yml again: the role monitoring writes it."
        raise UsageError("the settings of the queue name no Alertmanager.", remedy=remedy)
    return {"alertmanagers": {**named, "urls": named["urls"][:1]}}
