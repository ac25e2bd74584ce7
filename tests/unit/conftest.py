"""Settings that let unit tests answer in seconds: files in memory, and no wait for a disk. Power is cut elsewhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from appliance.units import GIB
from tests.no_fsync import no_fsync

__all__ = ("no_fsync",)

MEMORY = Path("/dev/shm")
FREE_MIN = GIB  # ten times what a run needs; a container may have 64 MiB there
PLACE = "PYTEST_DEBUG_TEMPROOT"  # pytest's own variable; it is read when the first test asks for a folder

# In a run of other suites too, this file is read when that place has long been chosen: those keep to the disk.
if PLACE not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > FREE_MIN:
    os.environ[PLACE] = str(MEMORY)
