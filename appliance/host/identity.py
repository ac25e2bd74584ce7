"""Which machine this is."""

from __future__ import annotations

from pathlib import Path

MACHINE_ID = Path("/etc/machine-id")


def machine_id() -> str:
    """An id that tells this machine from one that was made from its image; "" where there is none."""
    return MACHINE_ID.read_text().strip() if MACHINE_ID.exists() else ""
