"""Whether others have all that a branch holds, so that nobody has to decide about it: nothing of it would come into
place, and nothing that it removed is still served.

Each file must be, with the same content, in the archive from which the other side continued, or in the one that was
just made of what is served. Size and time tell it in a listing; content of one size with another time is read on both
sides, up to `READ_BYTES_MAX`: the service can be neither saved nor moved meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from appliance.borg.answers import is_below
from appliance.borg.client import Borg
from appliance.borg.model import Item
from appliance.branches.archive import is_same, walk
from appliance.host.files import sha256_file
from appliance.units import GIB

READ_BYTES_MAX = GIB


@dataclass(frozen=True)
class _Archive:
    """The items of an archive at the paths of the service. `doubtful`: paths where only the time differs."""

    name: str
    items: Mapping[str, Item]
    doubtful: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, borg: Borg, name: str, paths: Sequence[str]) -> _Archive:
        """The listing tells a byte that is not UTF-8 as "?", as it does a question mark: then names are read again."""
        found = _listed(borg, name, paths, exact=False)
        return cls(name, _listed(borg, name, paths, exact=True) if any("?" in path for path in found) else found)

    def has(self, path: str, file: Path) -> bool:
        """Whether `file` is there by size and time, or as a link."""
        item = self.items.get(path)
        if item is None or is_same(self.items, item, file):
            return item is not None
        if item.kind == "file" and file.is_file() and not file.is_symlink() and file.stat().st_size == item.size:
            self.doubtful.add(path)
        return False


def is_known(borg: Borg, base: str, served: str, folder: Path, paths: Sequence[str]) -> bool:
    """Whether the branch in `folder` has nothing at `paths` that is neither in the archive `base`, from which the other
    side continued, nor in the archive `served`, and lacks nothing that both have; `base` is "" when it is not known any
    more."""
    read = [
        _Archive.read(borg, name, [path.lstrip("/") for path in paths])
        for name in dict.fromkeys((base, served))
        if name
    ]
    here = {str(path.relative_to(folder)): path for path in walk(folder) if path.is_symlink() or path.is_file()}
    if base and (read[0].items.keys() & read[-1].items.keys()) - here.keys():
        return False
    left = {path: file for path, file in here.items() if not _has_any(read, path, file)}
    if any(all(path not in it.doubtful for it in read) for path in left):
        return False
    return sum(file.stat().st_size for file in left.values()) <= READ_BYTES_MAX and _read_alike(borg, read, left)


def _has_any(read: Iterable[_Archive], path: str, file: Path) -> bool:
    """Each is asked, since each notes by itself what it has with another time."""
    answers = [it.has(path, file) for it in read]
    return any(answers)


def _read_alike(borg: Borg, read: Iterable[_Archive], files: Mapping[str, Path]) -> bool:
    """Whether the content of each of `files` is that of one of the archives."""
    left = {path: sha256_file(file) for path, file in files.items()}
    for archive in read:
        doubtful = [path for path in left if path in archive.doubtful]
        found = borg.sha256_of(archive.name, doubtful) if doubtful else {}
        left = {path: mark for path, mark in left.items() if found.get(path) != mark}
    return not left


def _listed(borg: Borg, name: str, paths: Sequence[str], *, exact: bool) -> dict[str, Item]:
    listed = (it for it in borg.items(name, exact=exact) if any(is_below(it.path, path) for path in paths))
    return {it.path: it for it in listed if it.kind in ("file", "hardlink", "symlink")}
