"""Read a repository's folder without borg: which segments belong to the last committed transaction.

Hazard (E1 in the backup notes): a borg that was killed leaves segments numbered above the last committed transaction.
The next writing borg deletes them and *reuses their numbers* with other content. A program that copied one by name
keeps a stale file for ever. So only `Committed.segments` may ever be sealed, and when `Committed.beyond` is not empty
`Borg.recover()` runs first: a transaction whose commit is written but not yet indexed (possibly a compaction that
already removed older segments) then becomes the last one, and segments still beyond it are aborted and left alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import IntegrityError


@dataclass(frozen=True)
class Committed:
    """`transaction` is N of the newest non-empty `index.N`; paths are absolute, in order of their number."""

    transaction: int
    segments: tuple[Path, ...]
    beyond: tuple[Path, ...]


def committed(path: Path) -> Committed:
    """The committed and the aborted segments of the repository at `path`, which nobody may be writing to.

    Raise IntegrityError when there is no index at all: a fresh copy, which `Borg.recover()` gives one.
    """
    transaction = _newest_index(path)
    numbered = sorted((int(file.name), file) for file in path.glob("data/*/*") if _is_number(file.name))
    return Committed(
        transaction,
        tuple(file for number, file in numbered if number <= transaction),
        tuple(file for number, file in numbered if number > transaction),
    )


def commit_mark(path: Path) -> str:
    """A text that is another one after every commit to the repository at `path`; "" while only borg could tell.

    borg writes a new index at each commit, so the file's number and identity do not return, not even when a branch that
    ends at the same number takes its place. An index that is not of the newest segment says nothing yet.
    """
    try:
        transaction = _newest_index(path)
        status = (path / f"index.{transaction}").stat()
        newest = _newest_segment(path / "data")
    except (IntegrityError, OSError):
        return ""
    return f"{transaction} {status.st_ino} {status.st_size} {status.st_mtime_ns}" if newest == transaction else ""


def _newest_segment(data: Path) -> int:
    """Only the last folders are listed: a large repository has tens of thousands of segments."""
    for folder in sorted(filter(_is_number, os.listdir(data)), key=int, reverse=True):
        if numbers := [int(name) for name in os.listdir(data / folder) if _is_number(name)]:
            return max(numbers)
    return -1


def _newest_index(path: Path) -> int:
    """borg ignores an empty index file (a crash while it was written), and so do we."""
    with os.scandir(path) as entries:
        numbers = [
            int(entry.name.removeprefix("index."))
            for entry in entries
            if entry.name.startswith("index.") and _is_number(entry.name[6:]) and entry.stat().st_size > 0
        ]
    if not numbers:
        raise IntegrityError(
            "the repository has no index, so its last transaction is unknown.",
            where=str(path),
            remedy="Open it once with its key (recover), then try again.",
        )
    return max(numbers)


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()
