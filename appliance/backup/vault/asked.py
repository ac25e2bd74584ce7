"""The time when another replica node said that it lacks generations that are held here: the agent then compares at once
instead of within the hour, and brings them.

    book/asked   empty; its time is when

The caller's word moves nothing but the hour of a comparison, which asks it what it has.
"""

from __future__ import annotations

import contextlib
import os

from appliance.backup.vault.call import Call
from appliance.backup.vault.store import Replica

LACKS = "lacks"
"""The field of a request for the head that says it; a former version does not know it, and compares every hour."""


def note_asked(call: Call) -> None:
    """Keep the time when the caller says that it lacks some; only of a node that may have to hold the service."""
    may_hold = (*call.terms.replica_nodes, *call.terms.spares)
    if call.request.get(LACKS) is not True or call.caller not in may_hold:
        return
    with contextlib.suppress(FileNotFoundError):  # nothing was ever held here
        os.close(os.open(_file(call.replica), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640))
        os.utime(_file(call.replica), (call.node.clock.now(),) * 2)


def asked_at(replica: Replica) -> float:
    """Return that time, UTC seconds; 0 for never."""
    try:
        return os.stat(_file(replica), follow_symlinks=False).st_mtime
    except OSError:
        return 0.0


def _file(replica: Replica) -> str:
    return str(replica.book / "asked")
