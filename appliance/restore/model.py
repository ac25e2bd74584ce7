"""The answers of the catalogue, as frozen values. Paths are str, as os.fsdecode gives them; times are UTC seconds."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.borg.model import Kind


@dataclass(frozen=True)
class Found:
    """One path, whatever its number of versions. `mtime_seconds` and `size` are those of its newest version."""

    path: str
    kind: Kind
    size: int
    mtime_seconds: float
    versions: int
    last_seen_seconds: float
    """When the newest archive that has it was made."""
    deleted: bool
    """Whether the newest archive has it no more."""


@dataclass(frozen=True)
class Version:
    """One state of a path, the same in all archives from `first_seen_seconds` to `last_seen_seconds`.

    `archive` is the newest archive still kept that has it: the one to restore from.
    """

    path: str
    kind: Kind
    size: int
    mtime_seconds: float
    archive: str
    first_seen_seconds: float
    last_seen_seconds: float
    current: bool
    """Whether the newest archive has it."""


@dataclass(frozen=True)
class CatchUp:
    """The result of a catch-up: archives read, archives found pruned, paths known afterwards."""

    archives: int
    pruned: int
    paths: int
    seconds: float
