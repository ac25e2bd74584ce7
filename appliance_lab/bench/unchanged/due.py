"""One run of a service in a process of its own, as the agent begins one: `due STATE SERVICE still|full`.

The files of a benchmark were written a moment ago, and perhaps in memory. So the clock here runs ahead by as long as a
run distrusts a file that just changed, which is less than a replica node allows, and tmpfs is trusted. It exits with 1
when the run was not of the kind that was asked for.
"""

from __future__ import annotations

import sys
from pathlib import Path

from appliance.backup.still import look
from appliance.backup.still.decide import RACY_SECONDS
from appliance.backup.writer.writer import run
from appliance.clock import SystemClock
from appliance.node.handle import open_node
from appliance.units import MINUTE


class AheadClock(SystemClock):
    def now(self) -> float:
        return super().now() + RACY_SECONDS + MINUTE


def main() -> int:
    state, service, kind = sys.argv[1:]
    look.FILE_SYSTEMS = look.FILE_SYSTEMS | {"tmpfs"}
    done = run(open_node(Path(state), AheadClock()), service, may_be_still=kind == "still")
    return 0 if bool(done.still) == (kind == "still") and done.safety.safe else 1


if __name__ == "__main__":
    sys.exit(main())
