"""A file that keeps room back on a disk, for work that makes room there: forgetting and pruning have to write first.

Nothing reads it. A program that needs the room removes it (`give`), and makes it again when there is room (`keep`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from appliance.errors import NoSpace


def keep(path: Path, size_bytes: int, *, leave_bytes: int = 0) -> None:
    """Have `path` keep `size_bytes` back, unless it does, or less than `leave_bytes` would be free then."""
    lacking = size_bytes - _size(path)
    if lacking <= 0 or shutil.disk_usage(path.parent).free < lacking + leave_bytes:
        return
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(fd, 0, size_bytes)
        except OSError:
            path.unlink()  # a part of it would be taken for all
        finally:
            os.close(fd)


def give(path: Path) -> bool:
    """Give its room back; whether there was any."""
    given = _size(path) > 0
    path.unlink(missing_ok=True)
    return given


def using(path: Path, write: Callable[[], None]) -> None:
    """`write`; on a full disk once more, in the room that `path` keeps back."""
    try:
        write()
    except NoSpace:
        if not give(path):
            raise
        write()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
