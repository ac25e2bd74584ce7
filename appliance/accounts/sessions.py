"""Who is logged in at Samba; ending that, since a password is asked for at login only."""

from __future__ import annotations

import json
from collections.abc import Iterable

from appliance.errors import NotFound
from appliance.host.command import run

TIMEOUT_SECONDS = 30.0


def end(names: Iterable[str]) -> tuple[str, ...]:
    """Cut off the accounts `names`; those of them that were logged in. A client that still may comes back itself."""
    wanted = set(names)
    if not wanted:
        return ()
    try:
        listed = run(("smbstatus", "--json", "--processes"), timeout_seconds=TIMEOUT_SECONDS)
    except NotFound:
        return ()  # no Samba here
    if listed.exit_code != 0:
        return ()  # it does not run
    found = json.loads(listed.stdout).get("sessions", {}).values()
    cut = [session for session in found if session["username"] in wanted]
    for pid in {str(session["server_id"]["pid"]) for session in cut}:
        run(("smbcontrol", pid, "shutdown"), timeout_seconds=TIMEOUT_SECONDS)
    return tuple(sorted({session["username"] for session in cut}))
