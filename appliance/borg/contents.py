"""The examination of an archive before it is extracted: how much it is, and that nothing in it can reach outside its
destination.

A person or program that had the key wrote the archive. A path with "..", an absolute one, or one that goes through a
symlink of the same archive ("a" -> /etc, then "a/passwd") would make borg write outside the folder it was given; a hard
link to "../keys/sign" would put a key of ours into it. Such an archive is refused before anything is written. borg
follows a symlink that is in the destination already, too: files that are extracted over others need `check_way`.
"""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from appliance.borg.model import Item, Outline
from appliance.errors import IntegrityError
from appliance.units import MIB, printable

NAME_SHOWN = 200
SOON_DONE_BYTES, SOON_DONE_ENTRIES = 64 * MIB, 1000
NAME_BYTES_MAX = 16 * 1024
"""Linux opens no longer path than 4 KiB."""
REMEMBERED_BYTES_MAX, NAME_COSTS_BYTES, LINK_COSTS_BYTES = 256 * MIB, 100, 8
"""The memory of an examination of an archive: two million folders, say, of names of 30 letters."""
FEW = 16
PRIVILEGES = stat.S_ISUID | stat.S_ISGID
REMEDY = "Restore an older archive, and find out what wrote this one: no regular backup looks like that."
TOO_MANY_REMEDY = "Restore it folder by folder. If there are not that many files, find out what wrote this archive."


class WayBlocked(IntegrityError):
    """The destination itself holds something else than a folder where a folder is needed."""


class TooManyNames(IntegrityError):
    """An examination would take more memory than it may."""


@dataclass(frozen=True)
class Contents:
    """`size` is the sum of the files' sizes in bytes, holes of sparse files included."""

    entries: int
    size: int

    @property
    def soon_done(self) -> bool:
        """Whether nobody waits long for it: to tell how far it is, borg first reads all names of the archive."""
        return self.size < SOON_DONE_BYTES and self.entries < SOON_DONE_ENTRIES


@dataclass
class Examination:
    """The part of an archive that was seen so far. Only what lies at or below `wanted` (none: everything) is
    counted."""

    wanted: frozenset[str] = frozenset()
    found: set[str] = field(default_factory=set)
    """Those of `wanted` at or below which something lies."""
    entries: int = 0
    size: int = 0
    hardlinks: int = 0
    root: bool = False
    folders: set[str] = field(default_factory=set)
    """Every folder in which something lies, or the first name of a hard link."""
    privileged: bool = False
    """Whether there are files that would run as their owner or group, not as the person who starts them."""
    room: int = REMEMBERED_BYTES_MAX
    """How much more it may remember; below 0 the archive has too many names to be examined."""
    _outside: str | None = None
    _links: array[int] = field(default_factory=lambda: array("q"))
    """Hashes of the names of symlinks and hard links, of which an honest archive can have millions."""

    def add(self, item: Item | Outline) -> None:
        if self.room < 0:
            return
        self._look_at(item.path)
        if item.kind == "symlink":
            self._remember_link(item.path)
        elif item.link_target:  # of devices and pipes too, which a listing does not call a hard link
            self._look_at(item.link_target)
            self._remember_link(item.path)  # its first name may be a symlink, and then so is this one
        self.privileged = self.privileged or (item.kind in ("file", "hardlink") and bool(item.mode & PRIVILEGES))
        if self._is_wanted(item.path):
            self.entries += 1
            self.size += item.size if item.kind == "file" else 0
        self.hardlinks += item.kind == "hardlink"
        self.root = self.root or item.path == "."

    def fault(self) -> IntegrityError | None:
        """Why nothing of what was added may be restored; None when all of it stays below the destination."""
        if self.room < 0:
            return TooManyNames(
                "the archive contains too many names to be examined at once; nothing was restored.",
                remedy=TOO_MANY_REMEDY,
            )
        if self._outside is not None:
            named = printable(self._outside[:NAME_SHOWN])
            what = f'the archive contains a path that leads outside its folder, "{named}"; nothing was restored.'
            if _is_no_name(self._outside):
                what = f'the archive contains a path that no file can have, "{named}"; nothing was restored.'
            return IntegrityError(what, remedy=REMEDY)
        folders = {hash(it): it for it in self.folders} if self._links else {}
        through = min((folders[it] for it in self._links if it in folders), default=None)
        return None if through is None else through_symlink(through)

    def contents(self) -> Contents:
        return Contents(self.entries, self.size)

    def _is_wanted(self, path: str) -> bool:
        if not self.wanted:
            return True
        if len(self.wanted) <= FEW:
            at = {it for it in self.wanted if path == it or path.startswith(f"{it}/")}
        else:
            at = {it for it in _with_above(path) if it in self.wanted}
        self.found |= at
        return bool(at)

    def _look_at(self, path: str) -> None:
        if path != "." and (_is_no_name(path) or any(part in ("", ".", "..") for part in path.split("/"))):
            self._outside = path
            return
        while "/" in path and self.room >= 0:
            path = path.rpartition("/")[0]
            if path in self.folders:
                return
            self.room -= len(path) + NAME_COSTS_BYTES
            self.folders.add(path)

    def _remember_link(self, path: str) -> None:
        self.room -= LINK_COSTS_BYTES
        self._links.append(hash(path))


def examined(
    items: Iterable[Item | Outline],
    wanted: Iterable[str] = (),
    on_item: Callable[[Item | Outline], None] = lambda item: None,
) -> Examination:
    """See `items` and raise IntegrityError when one of them could be written elsewhere than below the destination."""
    seen = Examination(frozenset(wanted))
    for item in items:
        seen.add(item)
        if seen.room < 0:
            break
        on_item(item)
    if fault := seen.fault():
        raise fault
    return seen


def together(parts: Sequence[Examination]) -> Contents:
    """Return the contents of `parts` as one tree. Raise IntegrityError when one of them could lead another one
    elsewhere."""
    every = Examination(
        entries=sum(it.entries for it in parts),
        size=sum(it.size for it in parts),
        room=min(it.room for it in parts),
        folders=set().union(*(it.folders for it in parts)),
    )
    for part in parts:
        every._links.extend(part._links)
    if fault := every.fault():
        raise fault
    return every.contents()


def through_symlink(path: str) -> IntegrityError:
    named = printable(path[:NAME_SHOWN])
    return IntegrityError(
        f'the archive contains a path through its own symlink "{named}"; nothing was restored.', remedy=REMEDY
    )


def _is_no_name(path: str) -> bool:
    return "\0" in path or len(path) > NAME_BYTES_MAX


def check_way(into: Path, folders: Iterable[str]) -> None:
    """Raise WayBlocked when one of `folders`, all those above them included, is there and is no folder.

    Nobody else writes in `into`, so what is above is looked at once, and first.
    """
    for folder in sorted(folders):
        try:
            status = os.lstat(into / folder)
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(status.st_mode):
            raise WayBlocked(
                f'"{folder}" is not a folder there, but the archive has files below it; nothing was restored.',
                where=str(into),
                remedy="Restore to an empty folder.",
            )


def take_privileges(into: Path, files: Iterable[str] | None = None) -> None:
    """Let none of `files` (None: of all in it), to which `check_way` found no link, run as the account that extracted
    it.

    Nobody else writes in `into`; what could not be extracted is not there.
    """
    for file in _files_in(into) if files is None else files:
        with suppress(FileNotFoundError, NotADirectoryError):
            status = os.lstat(into / file)
            if stat.S_ISREG(status.st_mode) and status.st_mode & PRIVILEGES:
                os.chmod(into / file, stat.S_IMODE(status.st_mode) & ~PRIVILEGES)


def _files_in(folder: Path) -> Iterator[str]:
    """By its own names: in a listing of an archive, a byte that is not UTF-8 is "?"."""
    for above, _, names in os.walk(folder):
        yield from (os.path.join(above, name) for name in names)


def _with_above(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]
