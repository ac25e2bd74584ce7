"""The file at the root of a corpus that says what it was made from. Only a folder that has it is ever changed."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance.errors import NoSpace, UsageError
from appliance.host.files import write_atomic
from appliance.units import format_bytes

MARKER = ".corpus.json"
_FORMAT = 1


@dataclass(frozen=True)
class Marker:
    """`changes` counts the changes made since; `complete` is false while one is being made."""

    size_bytes: int
    files: int
    seed: int
    changes: int = 0
    complete: bool = False


def claim(root: Path) -> None:
    """Make sure that `root` is an empty folder; raise UsageError, and touch nothing, when it is anything else."""
    check_free(root)
    root.mkdir(parents=True, exist_ok=True)


def check_free(root: Path) -> None:
    """Raise UsageError unless `root` can become, or is, an empty folder."""
    if root.exists() and not root.is_dir():
        raise UsageError("is not a folder.", where=str(root))
    if root.is_dir() and any(root.iterdir()):
        raise UsageError(
            "the folder is not empty, and a corpus never replaces anything.",
            where=str(root),
            remedy="Name a new folder, or add --change 1% to change a corpus.",
        )


def check_room(root: Path, size_bytes: int, files: int = 0) -> None:
    """Raise NoSpace unless `size_bytes` more in `files` find room at `root`: a half-made corpus is of no use."""
    above = next(it for it in (root, *root.absolute().parents) if it.is_dir())
    disk = os.statvfs(above)
    free = disk.f_bavail * disk.f_frsize
    remedy = "Ask for less, or name a folder on another disk."
    if size_bytes > free:
        what = f"{format_bytes(size_bytes)} were asked for, and {format_bytes(free)} are free."
        raise NoSpace(what, where=str(above), remedy=remedy)
    if disk.f_files and files > disk.f_favail:  # btrfs counts none, since it makes them as it goes
        what = f"{files:,} files were asked for, and there is room for {disk.f_favail:,}."
        raise NoSpace(what, where=str(above), remedy=remedy)


def read_marker(root: Path) -> Marker:
    """The marker of `root`; raise UsageError when there is none, or when its last making or change was cut short."""
    try:
        fields = json.loads((root / MARKER).read_bytes())
        if fields.pop("format") != _FORMAT:
            raise ValueError
        marker = Marker(**fields)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            "no corpus was made in this folder, so nothing in it is changed.",
            where=str(root),
            remedy="Make one without --change first.",
        ) from error
    if not marker.complete:
        raise UsageError("this corpus was left half made.", where=str(root), remedy="Remove it and make it again.")
    return marker


def write_marker(root: Path, marker: Marker) -> None:
    write_atomic(root / MARKER, json.dumps({"format": _FORMAT, **asdict(marker)}).encode() + b"\n")
