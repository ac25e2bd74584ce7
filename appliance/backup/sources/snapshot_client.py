"""A moment of this host's shares, for an agent that is not root: root's helper makes the snapshot, we read it.

The helper answers every caller that may connect to its socket with one JSON line, and takes no arguments (`appliance
internal node snapshot --on-demand`, appliance-snapshot.socket). It drops no snapshot on which somebody holds a shared
flock.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from contextlib import ExitStack
from pathlib import Path

from appliance.backup.sources.snapshot import mounts_below
from appliance.territory.model import SHARES
from appliance.units import MINUTE

SHARES_SNAPSHOTS = f"{SHARES}/.snapshots"
SOCKET = Path("/run/appliance/snapshot.sock")
_ANSWER_BYTES_MAX = 65536
_TIMEOUT_SECONDS = 2 * MINUTE


def take(source: str, at: Path, held: ExitStack, *, helper: Path = SOCKET, shares: str = SHARES) -> str:
    """Make `at` show `source` as it is now, until `held` ends; return why not, "" when it does.

    `at` ends with the whole path of `source`: a link stands in it where the snapshot begins.
    """
    if not source.startswith(f"{shares}/"):
        return f"it is not in {shares}"
    if not helper.exists():
        return "no program takes snapshots here"
    if mounted := mounts_below(source, Path("/proc/self/mountinfo").read_text()):
        return f"another file system is mounted at {mounted[0]}"
    try:
        made = _asked(helper)
        if made == "":
            return "no snapshot could be taken"
        _hold(made, held)
    except (OSError, ValueError) as error:
        return f"no snapshot could be taken: {error}"
    inside = os.path.relpath(source, shares)
    link = Path(str(at).removesuffix(f"/{inside}"))
    link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    link.symlink_to(made)
    return "" if at.exists() else "it is not in the snapshot"


def _asked(helper: Path) -> str:
    """The path of a new snapshot, "" when none was made; raise OSError or ValueError for no answer, or nonsense."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as line:
        line.settimeout(_TIMEOUT_SECONDS)
        line.connect(str(helper))
        line.shutdown(socket.SHUT_WR)
        answer = b""
        while data := line.recv(_ANSWER_BYTES_MAX):
            answer += data
            if len(answer) > _ANSWER_BYTES_MAX:
                raise ValueError("the answer is incomplete")
    try:
        return str(json.loads(answer)["folders"][0]["made"])
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError("the answer is malformed") from error


def _hold(snapshot: str, held: ExitStack) -> None:
    fd = os.open(snapshot, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    held.callback(os.close, fd)
    fcntl.flock(fd, fcntl.LOCK_SH)
