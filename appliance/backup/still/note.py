"""The note of a full run: the generation that it made, and what it saw before borg began.

    services/SERVICE/borg/unchanged.json   goes with the repository that it is about

Invariant: a note is of a run that ended. It is removed before borg begins, and written last, from the look that was
taken before: a run that is killed anywhere leaves none, and the run after it is a full one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.backup.still.look import Look
from appliance.borg.model import Created
from appliance.host.files import fsync_folder
from appliance.host.layout import ServiceLayout
from appliance.host.records import Record
from appliance.trust.generation import Header


@dataclass(frozen=True)
class Note:
    """`generation` is the digest of the header of the generation whose newest archive is `archive`, in which borg saw
    so many `files` and `bytes`."""

    generation: str
    archive: str
    files: int
    bytes: int
    same: dict[str, str]
    wall: float
    boottime: float
    changed_ns: int


NOTES = Record(Note, format=1)


def load(layout: ServiceLayout) -> Note | None:
    """The note of the last run, None where that was cut, or it cannot be read: then the run is a full one."""
    return NOTES.load_or(_path(layout), None)


def remove(layout: ServiceLayout) -> None:
    """Before borg begins; durable, or a power cut could bring it back."""
    if _path(layout).exists():
        _path(layout).unlink(missing_ok=True)
        fsync_folder(_path(layout).parent)


def write(layout: ServiceLayout, header: Header, made: Created, seen: Look) -> None:
    """After all else of a run, which sealed the generation of `header` with what it `made` as the newest archive."""
    if not seen.unfit:
        what = (header.id.digest, made.archive, made.files, made.original_bytes)
        NOTES.save(_path(layout), Note(*what, dict(seen.same), seen.wall, seen.boottime, seen.changed_ns))


def _path(layout: ServiceLayout) -> Path:
    return layout.borg_base / "unchanged.json"
