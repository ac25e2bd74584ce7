"""Whose turn it is to write into a holding: one session at a time, and a stronger one need not wait for a weaker.

A node that lost its epoch, or a slow relay, must not keep the present writer out by never ending its session. So a
session writes its process and its rank into the lock file it holds. One of higher rank ends exactly that process: by
its id and its start time, through a descriptor that no other process can ever get. A vault may die at any point, so
nothing is lost by it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance.backup.vault.store import Holding
from appliance.errors import Busy
from appliance.host.files import locked

END_SECONDS_MAX = 10.0


@dataclass(frozen=True, order=True)
class Rank:
    """What a session may push aside: an older epoch's, and a relay while it is the writer itself."""

    epoch: int
    is_writer: bool


@contextlib.contextmanager
def turn(holding: Holding, what: str, rank: Callable[[], Rank] | None = None) -> Iterator[None]:
    """Hold the session lock of `holding`; raise Busy, with `what`, when a session that may not be ended has it.

    `rank` is only asked when somebody else has the lock; it must check what it claims. Without it nobody is ended.
    """
    path = holding.root / "session.lock"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(path, what=what))
        except Busy:
            if rank is None or not _end_weaker(path, rank()):
                raise
            stack.enter_context(locked(path, what=what))
        _write(path, "")
        try:
            yield
        finally:
            _write(path, "")


def announce(holding: Holding, rank: Rank) -> None:
    """Say who holds the turn; called with the lock held, once the rank is proven and before anything is waited for."""
    process = {"pid": os.getpid(), "started": _started(os.getpid())}
    _write(holding.root / "session.lock", json.dumps({**process, **asdict(rank)}))


def _write(path: Path, text: str) -> None:
    path.write_text(text)  # in place: a new file would not be the one that is locked


def _end_weaker(path: Path, rank: Rank) -> bool:
    """End the process that holds the lock when its rank is lower; say whether it has gone."""
    try:
        holder = json.loads(path.read_text())
        if holder["pid"] == os.getpid() or not Rank(int(holder["epoch"]), bool(holder["is_writer"])) < rank:
            return False
        descriptor = os.pidfd_open(int(holder["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False
    try:
        # Asked after the descriptor was opened: from now on the number cannot become another process.
        if _started(int(holder["pid"])) != holder["started"]:
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        return bool(select.select([descriptor], [], [], END_SECONDS_MAX)[0])
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _started(pid: int) -> int:
    """When a process started, in ticks since the machine did: with its id, what tells it from all others; 0 when it
    is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[19])
