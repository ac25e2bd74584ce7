"""The age of one service's copies, as the worker writes it down and pages show it.

Apart from what finds it out (`freshness.py`), which loads half of the agent: pages only read it.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.monitor.states import of_age


@dataclass(frozen=True)
class Freshness:
    """The age of one service's copies. `safe_seconds`: when its newest safe copy was made, UTC; None when none is known
    to be safe.

    The newest of all has `copies` acknowledged of the `promised` ones. It is `whole`, or lacks the paths of `partial`:
    each with when it was saved whole last, UTC seconds, None when that is not known.
    """

    safe_seconds: float | None
    copies: int
    promised: int
    rpo_seconds: int
    whole: bool = True
    partial: tuple[tuple[str, float | None], ...] = ()
    without: tuple[tuple[str, float, float], ...] = ()
    """The files that an operator accepted it to be without: each with since when, and when that was accepted, UTC
    seconds."""
    databases: bool = False
    """Whether its paths are databases: one that could not be copied is there as its file lay, and may be torn."""

    def is_late(self, now: float) -> bool:
        """Whether the last safe copy is older than it may ever be, by the measure that holders have (`monitor`)."""
        return self.safe_seconds is not None and of_age(now - self.safe_seconds, self.rpo_seconds) != "ok"
