"""Whether somebody has a file open: whoever saves into it after another one took its place saves into the old one."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from pathlib import Path


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
