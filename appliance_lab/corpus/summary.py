"""The content of a corpus, counted on the disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[int, int], None]  # bytes written so far, bytes to write in all


@dataclass(frozen=True)
class Summary:
    """`files` are names of regular files, `bytes` their sizes with each hard-linked file once; `added` and what
    follows tell what this run did; `unsupported` names the attributes that the file system refuses."""

    files: int
    folders: int
    symlinks: int
    bytes: int
    bytes_new: int
    added: int
    changed: int = 0
    deleted: int = 0
    renamed: int = 0
    unsupported: tuple[str, ...] = ()


@dataclass(frozen=True)
class Totals:
    files: int
    folders: int
    symlinks: int
    bytes: int


def walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every path below `root`, relative, and its status, in the order of the names' bytes."""
    pending = [""]
    while pending:
        folder = pending.pop()
        with os.scandir(root / folder) as entries:
            for entry in sorted(entries, key=lambda entry: os.fsencode(entry.name)):
                path = f"{folder}/{entry.name}" if folder else entry.name
                yield path, entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)


def measure(root: Path) -> Totals:
    files, folders, symlinks, sizes = 0, 0, 0, {}
    for _, status in walk(root):
        if stat.S_ISREG(status.st_mode):
            files += 1
            sizes[status.st_ino] = status.st_size
        elif stat.S_ISDIR(status.st_mode):
            folders += 1
        else:
            symlinks += 1
    return Totals(files, folders, symlinks, sum(sizes.values()))
