"""What of an archive is about to be restored: how much, and that nothing in it can reach outside its destination.

An archive is written by whoever held the key. A path with "..", an absolute one, or one that goes through a symlink of
the same archive ("a" -> /etc, then "a/passwd") would make borg write outside the folder it was given; such an archive
is refused before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from appliance.borg.model import Item
from appliance.errors import IntegrityError
from appliance.units import MIB

SOON_DONE_BYTES, SOON_DONE_ENTRIES = 64 * MIB, 1000


@dataclass(frozen=True)
class Contents:
    """`size` is the sum of the files' sizes in bytes, holes of sparse files included. `root`: "." is in it."""

    entries: int
    size: int
    root: bool = False

    @property
    def soon_done(self) -> bool:
        """Whether nobody waits long for it: to tell how far it is, borg first reads all names of the archive."""
        return self.size < SOON_DONE_BYTES and self.entries < SOON_DONE_ENTRIES


@dataclass
class Examination:
    """What was seen of an archive so far; whoever reads it for another end can let it be examined on the way."""

    entries: int = 0
    size: int = 0
    hardlinks: int = 0
    root: bool = False
    _outside: str | None = None
    _symlinks: set[str] = field(default_factory=set)
    _folders: set[str] = field(default_factory=set)

    def add(self, item: Item) -> None:
        self._look_at(item.path)
        if item.kind == "hardlink":
            self._look_at(item.link_target)
        if item.kind == "symlink":
            self._symlinks.add(item.path)
        self.entries += 1
        self.size += item.size if item.kind == "file" else 0
        self.hardlinks += item.kind == "hardlink"
        self.root = self.root or item.path == "."

    def fault(self) -> IntegrityError | None:
        """Why nothing of what was added may be restored; None when all of it stays below the destination."""
        if self._outside is not None:
            return IntegrityError(
                f'the archive holds a path that leaves its folder, "{self._outside}"; nothing was restored.'
            )
        return next(map(through_symlink, self._symlinks & self._folders), None)

    def _look_at(self, path: str) -> None:
        if path != "." and any(part in ("", ".", "..") for part in path.split("/")):
            self._outside = path
        _add_folders_above(path, self._folders)


def examine(items: Iterable[Item]) -> Contents:
    """Count `items` and raise IntegrityError when one of them could be written elsewhere than below the destination."""
    seen = Examination()
    for item in items:
        seen.add(item)
    if fault := seen.fault():
        raise fault
    return Contents(seen.entries, seen.size, seen.root)


def through_symlink(path: str) -> IntegrityError:
    return IntegrityError(f'the archive goes through its own symlink "{path}"; nothing was restored.')


def _add_folders_above(path: str, folders: set[str]) -> None:
    while "/" in path:
        path = path.rpartition("/")[0]
        if path in folders:
            return
        folders.add(path)
