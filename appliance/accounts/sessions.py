"""The sessions at Samba, and how to end them: Samba asks for a password at log-in only.

A share that moves between nodes has a Samba of its own, with settings of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from appliance.errors import NotFound
from appliance.host.command import run

TIMEOUT_SECONDS = 30.0
MOVING = Path("/etc/appliance/served.d")


def end(names: Iterable[str]) -> tuple[str, ...]:
    """Cut off the accounts `names`; those of them that were logged in. A client that still may comes back itself."""
    wanted = set(names)
    if not wanted:
        return ()
    moving = sorted(MOVING.glob("*.smb.conf"))
    each: list[tuple[str, ...]] = [(), *((f"--configfile={settings}",) for settings in moving)]
    return tuple(sorted({name for samba in each for name in _end(wanted, samba)}))


def _end(wanted: set[str], samba: tuple[str, ...]) -> set[str]:
    """The same at the one whose settings the words `samba` name."""
    try:
        listed = run(("smbstatus", *samba, "--json", "--processes"), timeout_seconds=TIMEOUT_SECONDS)
    except NotFound:
        return set()  # no Samba here
    if listed.exit_code != 0:
        return set()  # it does not run
    found = json.loads(listed.stdout).get("sessions", {}).values()
    cut = [session for session in found if session["username"] in wanted]
    for pid in {str(session["server_id"]["pid"]) for session in cut}:
        run(("smbcontrol", *samba, pid, "shutdown"), timeout_seconds=TIMEOUT_SECONDS)
    return {session["username"] for session in cut}
