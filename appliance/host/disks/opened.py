"""Whether somebody has a file open: a program that saves into it after another one took its place saves into the old
one."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from collections.abc import Iterable
from pathlib import Path

from appliance.errors import Busy
from appliance.units import printable

NAMED_MAX = 3


class FilesOpen(Busy):
    """Somebody has files open that would be replaced."""


def refuse_open(live: Path, paths: Iterable[str], what: str, remedy: str) -> None:
    """Raise FilesOpen, naming the first, while somebody has one of `paths` below `live` open: what is saved next would
    go into the old file, which nobody looks at any more. `what` is about to replace them."""
    held = [path for path in paths if is_open(live / path)]
    if held:
        named = ", ".join(printable(str(live / path)) for path in held[:NAMED_MAX])
        more = f" and {len(held) - NAMED_MAX} more" if len(held) > NAMED_MAX else ""
        closed = "Have them closed (`smbstatus --locks` shows who has them open), then run the command again."
        raise FilesOpen(f"files that {what} replaces are open: {named}{more}.", remedy=f"{closed} {remedy}")


def is_open(path: Path) -> bool:
    """Whether any process has the file at `path` open. False where there is none, or this account may not ask: the
    kernel grants a write lease to a file's owner and to root alone."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)  # who opens it meanwhile must not end this program by SIGIO
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(file)
    return False
