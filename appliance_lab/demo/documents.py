"""Documents of the user's own: looked at before anything starts, with a canary file beside them.

The demo takes any folder that fits on the disk. What it cannot play, it says at once.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.vault.free_space import FREE_BYTES_MIN
from appliance.errors import UsageError
from appliance.host.files import make_private_folder
from appliance.territory.model import CONTROL
from appliance.units import MIB, format_bytes, printable

COPIES = 6
"""How often the demo needs their room, in repositories, at peers and restored: 5.2 times for what does not shrink."""
ROOM_BYTES_MIN = FREE_BYTES_MIN + 256 * MIB
"""Nodes refuse what would leave less than the first part to their machine; logs and indexes take some of the second."""
BLOCK_BYTES = 512  # of st_blocks, whatever the file system's own are
SMALL_BYTES = 4096  # a file of less may have no block of its own
CANARY_LINES = 20
TERRITORY, DOCUMENTS = "territory", "documents"
"""The folders that the demo makes in its own, and removes."""


@dataclass(frozen=True)
class Measured:
    """`room_bytes` is what the documents take on the disk: a hole of a sparse file takes nothing, and a file with two
    names is one. `bytes` is what reading them gives."""

    room_bytes: int
    bytes: int
    files: int


def check_documents(data: Path, work: Path) -> None:
    """Raise UsageError unless `data` is a folder that the demo, whose nodes live in `work`, can play with."""
    try:
        with os.scandir(data) as found:
            empty = next(found, None) is None
    except OSError as error:
        raise UsageError(_why_not(error), where=printable(str(data)), remedy="Name another one.") from error
    if empty:
        raise UsageError(
            "there are no documents to back up.", where=printable(str(data)), remedy="Name a folder with files in it."
        )
    _check_name(data.resolve())
    _check_place(data.resolve(), work.resolve())
    _check_room(data, work)


def measure(data: Path, room_bytes_max: int | None = None) -> Measured:
    """Measure the files of `data`; those of a whole disk no further than `room_bytes_max`."""
    room, total, files = 0, 0, 0
    seen: set[tuple[int, int]] = set()
    for found in _regular(data):
        files += 1
        if found.st_nlink > 1:
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
        room += min(found.st_size, max(found.st_blocks * BLOCK_BYTES, SMALL_BYTES))
        total += found.st_size
        if room_bytes_max is not None and room > room_bytes_max:
            break
    return Measured(room, total, files)


def plant_canary(folder: Path) -> Path:
    """A file with a name and lines that are nowhere else; the documents themselves are only read."""
    file = make_private_folder(folder) / f"canary-{secrets.token_hex(8)}.txt"
    file.write_text("".join(f"{secrets.token_hex(24)}\n" for _ in range(CANARY_LINES)))
    return file


def existing(folder: Path) -> Path:
    """The nearest folder that is there, of `folder` and those above it."""
    return next(it for it in (folder, *folder.parents) if it.exists())


def _why_not(error: OSError) -> str:
    """Why nobody can look into a folder."""
    match error:
        case PermissionError():
            return "this account may not read the folder."
        case FileNotFoundError():
            return "there is no such folder."
        case NotADirectoryError():
            return "this is no folder."
    return f"this folder cannot be read ({error.strerror})."


def _check_name(data: Path) -> None:
    """Raise UsageError for a path that no bundle could hold; names below it may have any bytes."""
    if CONTROL.search(str(data)):
        raise UsageError(
            "the path has a control character, or bytes that are no UTF-8, and the territory's bundle names it.",
            where=printable(str(data)),
            remedy="Give the folder, or the one above it, another name.",
        )


def _check_place(data: Path, work: Path) -> None:
    """Raise UsageError where the demo would save what it writes, or remove what it is to save."""
    if work.is_relative_to(data):
        raise UsageError(
            f"the demo works in {work}, which lies in it, and would save itself.",
            where=printable(str(data)),
            remedy=f"Name a folder in it, or {_elsewhere()}.",
        )
    if any(data.is_relative_to(work / name) for name in (TERRITORY, DOCUMENTS)):
        raise UsageError(
            "the demo removes this folder when it ends.", where=printable(str(data)), remedy="Name another one."
        )


def _elsewhere() -> str:
    """How to have the nodes in another folder; those of a demo of root have one of their own."""
    return f"{'play as another account' if os.geteuid() == 0 else 'let the demo work elsewhere'}, with --work DIR"


def _check_room(data: Path, work: Path) -> None:
    place = existing(work.resolve())
    free = shutil.disk_usage(place).free - ROOM_BYTES_MIN
    found = measure(data, max(0, free) // COPIES)
    if COPIES * found.room_bytes > free:
        raise UsageError(
            f"these documents take {format_bytes(found.room_bytes)} of disk or more, and the demo needs {COPIES} times "
            f"as much and {format_bytes(ROOM_BYTES_MIN)}; {place} has {format_bytes(free + ROOM_BYTES_MIN)} free.",
            where=printable(str(data)),
            remedy=f"Name a folder with less, or {_elsewhere()}.",
        )


def _regular(data: Path) -> Iterator[os.stat_result]:
    """Every file below `data` that can be looked at."""
    for folder, _, names in os.walk(data):
        for name in names:
            with suppress(OSError):  # the backup says what could not be read
                found = os.lstat(os.path.join(folder, name))
                if stat.S_ISREG(found.st_mode):
                    yield found
