"""What lets unit tests answer in seconds: files in memory, and no wait for a disk. Power is cut elsewhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.units import GIB

MEMORY = Path("/dev/shm")
FREE_MIN = GIB  # ten times what a run needs; a container may have 64 MiB there
PLACE = "PYTEST_DEBUG_TEMPROOT"  # pytest's own variable; it is read when the first test asks for a folder

# In a run of other suites too, this file is read when that place has long been chosen: those keep to the disk.
if PLACE not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > FREE_MIN:
    os.environ[PLACE] = str(MEMORY)


@pytest.fixture(scope="module", autouse=True)
def no_fsync() -> Iterator[None]:
    """The order of the writes is tested all the same, where a test says so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda fd: None)
        yield
