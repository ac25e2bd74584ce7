"""The numbers and names on which nodes and the voters' brokers must agree about their calls. Pure."""

from __future__ import annotations

ON_ITS_WAY_SECONDS = 0.4
"""The part of the time that a caller gives a broker that the call itself takes: the broker waits for news for the
rest."""
LEAP_MAX = 16
"""How far above the newest grant an asker may say that epochs are used: enough for votes that split, and a term is not
used up by somebody who makes numbers up."""
