"""What of an archive is about to be restored: how much, and that nothing in it can reach outside its destination.

An archive is written by whoever held the key. A path with "..", an absolute one, or one that goes through a symlink of
the same archive ("a" -> /etc, then "a/passwd") would make borg write outside the folder it was given; such an archive
is refused before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.borg.model import Item
from appliance.errors import IntegrityError


@dataclass(frozen=True)
class Contents:
    """`size` is the sum of the files' sizes in bytes, holes of sparse files included."""

    entries: int
    size: int


def examine(items: Iterable[Item]) -> Contents:
    """Count `items` and raise IntegrityError when one of them could be written elsewhere than below the destination."""
    entries = size = 0
    symlinks: set[str] = set()
    folders: set[str] = set()
    for item in items:
        _refuse_if_outside(item.path)
        if item.kind == "hardlink":
            _refuse_if_outside(item.link_target)
        if item.kind == "symlink":
            symlinks.add(item.path)
        _add_folders_above(item.path, folders)
        entries += 1
        size += item.size if item.kind == "file" else 0
    for path in symlinks & folders:
        raise IntegrityError(f'the archive goes through its own symlink "{path}"; nothing was restored.')
    return Contents(entries, size)


def _refuse_if_outside(path: str) -> None:
    if path != "." and any(part in ("", ".", "..") for part in path.split("/")):
        raise IntegrityError(f'the archive holds a path that leaves its folder, "{path}"; nothing was restored.')


def _add_folders_above(path: str, folders: set[str]) -> None:
    while "/" in path:
        path = path.rpartition("/")[0]
        if path in folders:
            return
        folders.add(path)
