"""Documents of the user's own, looked at before anything starts: what the demo cannot play, it says at once."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from appliance.errors import UsageError
from appliance.units import GIB, format_bytes
from appliance_lab.demo.search import NAME_BYTES_MIN, needles_of

DATA_BYTES_MAX = GIB
"""Four times as much is asked of each holder, and the smallest one of the demo's territory offers 5 GiB."""


def check_documents(data: Path) -> None:
    """Raise UsageError unless `data` is a folder that the demo can play with: not too much, and something to search."""
    try:
        empty = not (data.is_dir() and any(data.iterdir()))
    except PermissionError as error:
        raise UsageError(
            "this account may not read the folder.", where=str(data), remedy="Name another one."
        ) from error
    if empty:
        raise UsageError(
            "there are no documents to back up.", where=str(data), remedy="Name a folder with files in it."
        )
    _check_size(data)
    _check_distinctive(data)


def is_searchable(path: str, *, links: bool) -> bool:
    """Whether a file's own name is one to find it by: long enough, and the only one that it has."""
    return not links and len(os.path.basename(path)) >= NAME_BYTES_MIN and path.isprintable()


def _check_size(data: Path) -> None:
    total = 0
    for _, size, _ in _files(data):
        total += size
        if total > DATA_BYTES_MAX:  # of a whole disk, no more is looked at
            raise UsageError(
                f"these are more than {format_bytes(DATA_BYTES_MAX)} of documents, too much for the demo's territory.",
                where=str(data),
                remedy="Name a folder with less.",
            )


def _check_distinctive(data: Path) -> None:
    """Step 4 looks for pieces and names of the documents at the peers, step 6 finds a file by its name."""
    needles = needles_of(data, ())
    named = any(is_searchable(path, links=links > 1) for path, _, links in _files(data))
    if needles.contents and named:
        return
    raise UsageError(
        "the documents hold nothing distinctive to look for at the peers.",
        where=str(data),
        remedy=f"Name a folder with a file of which the name has {NAME_BYTES_MIN} letters or more, "
        "and with a file that has 32 bytes or more in a line.",
    )


def _files(data: Path) -> Iterator[tuple[str, int, int]]:
    """Path below `data`, bytes and number of names of each file that can be looked at."""
    for folder, _, names in os.walk(data):
        for name in names:
            with suppress(OSError):  # the backup says what could not be read
                path = os.path.join(folder, name)
                found = os.lstat(path)
                if stat.S_ISREG(found.st_mode):
                    yield os.path.relpath(path, data), found.st_size, found.st_nlink
