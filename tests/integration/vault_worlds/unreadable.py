"""A file that rots: its disk reads other bytes, or none any more, as btrfs and hard disks notice by their checksums."""

from __future__ import annotations

import builtins
import errno
import os
from pathlib import Path
from typing import Any

import pytest


def rot(path: Path) -> None:
    """Flip a bit in the middle of the sealed file at `path`."""
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    path.chmod(0o440)


def refuse_to_read(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """From now on every program that opens the file at `path` is refused, wherever it is moved; another in its place is
    not."""
    rotten, usual = path.stat().st_ino, builtins.open

    def opened(file: Any, *words: Any, **more: Any) -> Any:
        found = usual(file, *words, **more)
        if os.fstat(found.fileno()).st_ino == rotten:
            found.close()
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(file))
        return found

    monkeypatch.setattr(builtins, "open", opened)
