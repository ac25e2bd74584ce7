"""From where a service can be opened for reading, as people name it."""

from __future__ import annotations

AUTO, LOCAL, STANDBY, PEER, GENERATION = "auto", "local", "standby", "peer:", "generation:"
