"""The files that a second extraction may leave as they are, and how a long list of paths reaches borg."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from appliance.borg import argv
from appliance.borg.model import Item
from appliance.units import MIB

ARGUMENT_BYTES_MAX = MIB
MTIME_TOLERANCE_SECONDS = 1e-3
"""borg lists times in microseconds; the file has nanoseconds."""


def is_complete(item: Item, file: Path) -> bool:
    """Whether `file` is what borg left when it had restored `item`: it sets the time last."""
    try:
        status = file.lstat()
    except OSError:
        return False
    return status.st_size == item.size and abs(status.st_mtime - item.mtime_seconds) < MTIME_TOLERANCE_SECONDS


@contextlib.contextmanager
def exclude_file(paths: frozenset[str], folder: Path) -> Iterator[Path | None]:
    """A file of borg patterns in `folder`. Paths it cannot hold (newlines, not UTF-8) are left out, and simply restored
    again."""
    if not paths:
        yield None
        return
    with tempfile.NamedTemporaryFile("wb", prefix="appliance-exclude-", dir=folder) as file:
        for path in paths:
            with contextlib.suppress(UnicodeEncodeError):
                if path == path.strip() and len(path.splitlines()) == 1:
                    file.write(argv.full(path).encode() + b"\n")
        file.flush()
        yield Path(file.name)


def batches(patterns: list[str]) -> Iterator[list[str]]:
    """As many patterns at a time as one command line surely takes; none at all is one empty batch: everything."""
    batch: list[str] = []
    size = 0
    for pattern in patterns:
        if batch and size + len(os.fsencode(pattern)) > ARGUMENT_BYTES_MAX:
            yield batch
            batch, size = [], 0
        batch.append(pattern)
        size += len(os.fsencode(pattern)) + 1
    yield batch
