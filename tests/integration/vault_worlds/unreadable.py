"""A file that its disk cannot read any more: rot, as btrfs tells it by its checksums, and a hard disk by its own."""

from __future__ import annotations

import builtins
import errno
import os
from pathlib import Path
from typing import Any

import pytest


def refuse_to_read(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """From now on whoever opens what lies at `path` is refused, wherever it is moved; another in its place is not."""
    rotten, usual = path.stat().st_ino, builtins.open

    def opened(file: Any, *words: Any, **more: Any) -> Any:
        found = usual(file, *words, **more)
        if os.fstat(found.fileno()).st_ino == rotten:
            found.close()
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(file))
        return found

    monkeypatch.setattr(builtins, "open", opened)
