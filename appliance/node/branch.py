"""Whether a node keeps a branch of a service. A value only: pure code and the file on the disk share it."""

from __future__ import annotations

from enum import StrEnum


class Branch(StrEnum):
    """The state of writes that the service's present history does not have."""

    NONE = "none"
    KEPT = "kept"
