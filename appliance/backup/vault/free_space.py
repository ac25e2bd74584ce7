"""The free space of a node's disk below which the node takes less: three steps, checked in four places.

`vault/limits.py: check_room` refuses a push that would leave less than FREE_BYTES_MIN. `agent/decide.py: _prune` and
`writer/source_sizes.py: pruning_paused` let old archives go below NEARLY_FULL_BYTES. `monitor/status.py: judge` reports
all three. docs/how-to/full-disk.md has all of it.
"""

from __future__ import annotations

from appliance.units import GIB, MIB

FREE_BYTES_MIN = GIB
"""Left free by a vault for the services of its own machine, whatever others want to bring."""
NEARLY_FULL_BYTES = 2 * FREE_BYTES_MIN
"""With less free, the disk is nearly full: then a node deletes old archives even of its own service that shrank."""
FULL_BYTES = MIB
"""With less free, the disk is full: nothing is saved or recorded."""
