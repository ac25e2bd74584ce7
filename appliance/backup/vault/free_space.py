"""The space that a vault leaves free on its disk for the services of its own machine, whatever others want to bring."""

from __future__ import annotations

from appliance.units import GIB

FREE_FLOOR_BYTES = GIB
ROOM_BYTES_MIN = 2 * FREE_FLOOR_BYTES
"""With less free, the disk is called nearly full: then even a service that has shrunk is tidied."""
