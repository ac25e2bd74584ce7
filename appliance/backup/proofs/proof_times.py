"""How often the agent proves that a service can be read and brought back; the checks that judge it ask for no more."""

from __future__ import annotations

from appliance.units import DAY

VERIFY_SECONDS = DAY
DRILL_SECONDS = 7 * DAY
"""How often the agent reads a share of a round, and drills."""
SCRUB_SECONDS = DAY
CHECK_SECONDS = 7 * DAY
"""How often a holder reads a part of what it holds again, and has borg check it."""
