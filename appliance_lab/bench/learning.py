"""The process that learns an archive and tells what that took: `python3 -m appliance_lab.bench.learning WHAT`.

WHAT is JSON that names catalogue, repository and base; the passphrase comes on standard input.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing
from pathlib import Path

from appliance.borg.client import Borg
from appliance.borg.model import Repository
from appliance.restore.catalogue import catch_up
from appliance.restore.schema import open_catalogue
from appliance.secret import Secret
from appliance_lab.bench.measure import status_bytes


def main() -> int:
    asked = json.loads(sys.argv[1])
    repository = Repository(Path(asked["repository"]), Path(asked["base"]), Secret(sys.stdin.buffer.read()))
    with closing(open_catalogue(Path(asked["catalogue"]))) as catalogue:
        done = catch_up(catalogue, Borg(repository))
    print(json.dumps({"seconds": done.seconds, "memory_bytes": status_bytes(os.getpid(), "VmHWM")}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
