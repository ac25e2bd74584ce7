"""The lock to write into a replica: one session at a time, and a stronger one need not wait for a weaker.

A node that lost its epoch, or a slow relay, must not keep the present writer out by never ending its session. So a
session writes its process and its rank into the lock file it holds. One of higher rank ends exactly that process: by
its id and its start time, through a descriptor that no other process can ever get. A vault may die at any point, so
nothing is lost by it.

Pruning and repair end nobody: on a host their account may not. They wait for a relay with `wanted.lock` held, and a
relay looks at that before each piece that it takes: it ends, and goes on later from what came. Else a replica node that
hands on a byte at a time would keep them away for as long as it likes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance.backup.vault.store import Replica
from appliance.errors import Busy
from appliance.host.files import locked

END_SECONDS_MAX = 10.0
RELAY_SECONDS_MAX = 150.0
"""How long a relay that is asked to make way may take: a piece, for which a vault waits for 120 s, and its end."""
SESSION, WANTED = "session.lock", "wanted.lock"
LOCK_MODE = 0o660
"""Receiver and pruner are on a host two accounts of one group."""
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, order=True)
class Rank:
    """The rank of a session, by which it may push others aside: those of an older epoch, and a relay when it is the
    writer."""

    epoch: int
    is_writer: bool


@contextlib.contextmanager
def write_lock(replica: Replica, what: str, rank: Callable[[], Rank] | None = None) -> Iterator[None]:
    """Hold the session lock of `replica`; raise Busy, with `what`, when a session that may not be ended has it.

    `rank` is only asked when somebody else has the lock; it must check what it claims. Without it nobody is ended.
    """
    path = replica.root / SESSION
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


@contextlib.contextmanager
def write_lock_before_relays(replica: Replica, what: str) -> Iterator[None]:
    """`write_lock` of one without a rank, before which a relay makes way; raise Busy while the writer has it."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(write_lock(replica, what))
        except Busy:
            with _wanted(replica, what):
                _enter_after_relay(stack, replica, what)
        yield


def check_not_wanted(replica: Replica) -> None:
    """Raise Busy while pruning or a repair waits for the lock that a relay has."""
    try:
        fd = os.open(replica.root / WANTED, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Busy(
            "this replica node is pruning now.", remedy="Replicate it again later: what arrived is kept."
        ) from error
    finally:
        os.close(fd)


def make_locks(replica: Replica) -> None:
    """The files that are locked here, for both accounts."""
    for lock in (replica.lock, replica.root / SESSION, replica.root / WANTED):
        if not lock.exists():
            fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, LOCK_MODE)
            os.fchmod(fd, LOCK_MODE)
            os.close(fd)


@contextlib.contextmanager
def _wanted(replica: Replica, what: str) -> Iterator[None]:
    if not _is_relayed(replica):
        raise Busy(f"{what} is in use by another process.", remedy="Try again when it has ended.")
    make_locks(replica)
    with locked(replica.root / WANTED, what=what, wait=True):
        yield


def _enter_after_relay(stack: contextlib.ExitStack, replica: Replica, what: str) -> None:
    until = time.monotonic() + RELAY_SECONDS_MAX
    while True:
        try:
            stack.enter_context(write_lock(replica, what))
            return
        except Busy:
            if time.monotonic() > until or not _is_relayed(replica):
                raise
        time.sleep(_LOOK_SECONDS)


def _is_relayed(replica: Replica) -> bool:
    """Whether the process that has the lock said that it is a relay."""
    try:
        return json.loads((replica.root / SESSION).read_text())["is_writer"] is False
    except (OSError, ValueError, KeyError, TypeError):
        return False


def announce(replica: Replica, rank: Rank) -> None:
    """Say who holds the lock; called with the lock held, once the rank is proven and before anything is waited for."""
    process = {"pid": os.getpid(), "started": _started(os.getpid())}
    _write(replica.root / SESSION, json.dumps({**process, **asdict(rank)}))


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
