"""The looks at dashboards that are written down: a page that lies open is looked at again and again, and means one
visit.

The record is in memory: a process that restarts writes one line too many, never one too few.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

from appliance.units import MINUTE

AGAIN_SECONDS = 10 * MINUTE
KEPT_MAX = 4096


@dataclass
class Visits:
    """When each session last had a page of each kind written down, UTC seconds. Asked by several threads at once."""

    _noted: dict[tuple[str, str], float] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def is_new(self, session: str, page: str, now: float) -> bool:
        """Whether this look is to be written down: the first of a session at this kind of page for ten minutes."""
        key = session, page
        with self._lock:
            noted = self._noted.get(key)
            # A clock that was set back starts over.
            if noted is not None and noted <= now < noted + AGAIN_SECONDS:
                return False
            if len(self._noted) >= KEPT_MAX:
                self._noted = {it: at for it, at in self._noted.items() if at <= now < at + AGAIN_SECONDS}
            self._noted[key] = now
            return True
