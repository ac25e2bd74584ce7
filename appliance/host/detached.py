"""Start a program that outlives us: its own session, its output in a file, the init of this machine as its parent."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.host.command import NO_USER_SITE, SAFE_ENVIRONMENT


def start_detached(argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> None:
    """Start `argv` and return at once; its output is appended to `log`. A caller that wants to end it finds it by name.

    `setsid --fork` leaves no child of ours behind: a caller that lives for long never has to reap it.
    """
    environment = {name: os.environ[name] for name in SAFE_ENVIRONMENT if name in os.environ}
    with open(log, "ab") as output:
        code = subprocess.call(
            ("setsid", "--fork", *argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env={**environment, **NO_USER_SITE, **(env or {})},
        )
    if code != 0:
        raise ApplianceError(f"{argv[0]} did not start.", where=str(log))
