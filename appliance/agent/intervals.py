"""How often the agent looks, and from that how soon it tries again. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.agent.decisions import Push
from appliance.units import HOUR

EXCHANGE_SECONDS = HOUR
CATCH_UP_LOOKS = 10
"""Between two exchanges while generations that are elsewhere are still to come here: five minutes."""


@dataclass(frozen=True)
class Intervals:
    """How often the agent looks, in seconds; waits after failures are multiples of it."""

    look_seconds: float = 30.0

    @property
    def measure_seconds(self) -> float:
        """How long what was measured may stand: a look is cheap, a thorough one counts files."""
        return 2 * self.look_seconds

    def exchange_seconds(self, *, catching_up: bool) -> float:
        """How long after an exchange the next one is."""
        return min(EXCHANGE_SECONDS, CATCH_UP_LOOKS * self.look_seconds) if catching_up else EXCHANGE_SECONDS

    def retry_seconds(self, kind: str, failures: int) -> float:
        """How long to wait after so many failures in a row: doubling and bounded, less for a peer that may return."""
        first, most = 2 * self.look_seconds, (30 if kind == Push.kind else 120) * self.look_seconds
        return float(min(most, first * 2 ** min(failures - 1, 16)))
