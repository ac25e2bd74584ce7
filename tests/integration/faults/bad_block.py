"""A file whose disk has a bad block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.host.command import run

UNREADABLE = "/sys/devices/virtual/mem/null/power/autosuspend_delay_ms"


@contextmanager
def without_bytes(path: Path) -> Iterator[None]:
    """`path` can be opened, and reading it fails as a bad block of a disk does: over it lies a kernel setting that
    this device has not. (The memory of a process would do, but a confined borg may not open it.)"""
    mounted = run(("mount", "--bind", UNREADABLE, str(path)), timeout_seconds=20)
    if mounted.exit_code:
        pytest.skip(f"this test has to mount: {mounted.tail()}")
    try:
        yield
    finally:
        run(("umount", str(path)), timeout_seconds=20, check=True)
