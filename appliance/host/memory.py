"""Memory of a process that waits most of its life: what it has freed goes back to the machine."""

from __future__ import annotations

import ctypes

from appliance.units import KIB

_M_TRIM_THRESHOLD, _M_ARENA_MAX = -1, -8
_KEPT_BYTES = 128 * KIB


def share_one_heap() -> None:
    """Let all threads of this process share one heap and give back its free end; before the first thread begins.

    glibc gives each thread a heap of its own, of which each keeps what its busiest moment took. A C library without
    these settings is left as it is.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_ARENA_MAX, 1)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back() -> None:
    """Give back what is free between what is in use, too: some milliseconds."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
