"""The content of a folder, as it must come back."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def everything_in(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return what must be the same before and after, sockets excepted, which borg never saves."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        if stat.S_ISSOCK(status.st_mode):
            continue
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        target = os.readlink(path) if path.is_symlink() else ""
        note = {
            name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)
        }
        times = 0 if path.is_symlink() else status.st_mtime_ns
        links = 1 if path.is_dir() else status.st_nlink
        found[str(path.relative_to(folder))] = (status.st_mode, times, links, hash(content), target, str(note))
    return found
