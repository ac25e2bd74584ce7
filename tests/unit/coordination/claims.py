"""A claim, and the lease that answers it."""

from __future__ import annotations

from appliance.coordination import keys
from appliance.coordination.port import Claim, Lease

CLAIM = Claim("docs-a", "commune-a", "boot-1", keys.new_lease("commune-a", 7), 41, 15, "moved", "2026-11-26T08:00:00Z")
HOLDING = Lease("docs-a", "commune-a", CLAIM.lease, 42, 42, 15, sent=1000.0)
