"""A full record of a folder, to prove that what was restored is what was there.

It holds, for each entry: kind, bytes (their SHA-256), mode, modification time to the nanosecond, symlink target, which
names are hard links of one file, extended attributes with the POSIX ACLs among them, and as root owners, devices and
the attributes only root sees. Sockets, which no backup stores, and what could not be read are named in `left_out`.
"""

from __future__ import annotations

import base64
import dataclasses
import errno
import hashlib
import json
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from appliance.errors import IntegrityError

FORMAT = 1
READ_SIZE = 1024 * 1024
_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}


@dataclass(frozen=True)
class Entry:
    """`links` is the first path of its hard-link group, "" when it has one name; the last three are for root only."""

    kind: str
    mode: int
    mtime_ns: int
    size: int
    sha256: str
    target: str
    links: str
    xattrs: tuple[tuple[str, str], ...]
    uid: int | None
    gid: int | None
    device: int | None


@dataclass(frozen=True)
class Record:
    """`entries` by path relative to the root, "." included; `left_out` is (path, reason)."""

    as_root: bool
    entries: dict[str, Entry]
    left_out: tuple[tuple[str, str], ...]

    def to_json(self) -> str:
        entries = {path: dataclasses.asdict(entry) for path, entry in self.entries.items()}
        return json.dumps(
            {"format": FORMAT, "as_root": self.as_root, "entries": entries, "left_out": self.left_out}, indent=1
        )


@dataclass(frozen=True)
class Difference:
    """The difference at `path`: a field of Entry, "missing" (only before) or "added" (only after)."""

    path: str
    what: str
    before: str
    after: str

    def __str__(self) -> str:
        if self.what in ("missing", "added"):
            return f"{self.path}: {self.what}"
        return f"{self.path}: {self.what} was {self.before}, is {self.after}"


def take(root: Path, as_root: bool, without: Collection[str] = ()) -> Record:
    """Record everything at and below `root`, symlinks not followed. `as_root` adds what only root sees and restores.

    The paths `without` are left out with all that is below them: somebody who sees less may have saved the rest.
    """
    entries: dict[str, Entry] = {}
    left_out: list[tuple[str, str]] = []
    first_names: dict[tuple[int, int], str] = {}
    for path, status in _walk(root, left_out, frozenset(without)):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            left_out.append((path, "socket"))
            continue
        try:
            entries[path] = _entry(root / path, status, kind, as_root)
        except OSError as error:
            left_out.append((path, os.strerror(error.errno or 0)))
            continue
        if kind != "folder" and status.st_nlink > 1:
            first = first_names.setdefault((status.st_dev, status.st_ino), path)
            entries[path] = dataclasses.replace(entries[path], links=first)
    return Record(as_root, _without_single_links(entries), tuple(sorted(left_out)))


def compare(before: Record, after: Record) -> tuple[Difference, ...]:
    """Every difference, by path; nothing means that `after` is `before` in all that both recorded.

    A path that could not be recorded before is no difference: it is in `left_out`, to be shown and counted apart.
    """
    passed_over = {path for path, _ in before.left_out}
    found: list[Difference] = []
    for path in sorted({*before.entries, *after.entries} - passed_over):
        one, other = before.entries.get(path), after.entries.get(path)
        if one is None or other is None:
            found.append(Difference(path, "missing" if other is None else "added", "", ""))
        else:
            found += _differences(path, one, other)
    return tuple(found)


def parse(text: str) -> Record:
    """The inverse of `Record.to_json`; raise IntegrityError for another format."""
    try:
        data: dict[str, Any] = json.loads(text)
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']}")
        entries = {
            path: Entry(**{**entry, "xattrs": _pairs(entry["xattrs"])}) for path, entry in data["entries"].items()
        }
        return Record(data["as_root"], entries, _pairs(data["left_out"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"this is not a record of a folder: {error}.") from error


def _pairs(data: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(first), str(second)) for first, second in data)


def _differences(path: str, before: Entry, after: Entry) -> Iterator[Difference]:
    for field in dataclasses.fields(Entry):
        one, other = getattr(before, field.name), getattr(after, field.name)
        if one != other and None not in (one, other):
            yield Difference(path, field.name, _text(field.name, one), _text(field.name, other))


def _text(name: str, value: object) -> str:
    return f"{cast(int, value):04o}" if name == "mode" else str(value)


def _walk(root: Path, left_out: list[tuple[str, str]], without: frozenset[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Depth first, names in order: a hard-link group is named after the same path on both sides."""
    waiting = ["."]
    while waiting:
        path = waiting.pop()
        if path in without:
            left_out.append((path, "passed over"))
            continue
        try:
            status = (root / path).lstat()
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                names = sorted(os.listdir(root / path), reverse=True)
                waiting += [name if path == "." else f"{path}/{name}" for name in names]
        except OSError as error:
            left_out.append((path, os.strerror(error.errno or 0)))


def _entry(file: Path, status: os.stat_result, kind: str, as_root: bool) -> Entry:
    return Entry(
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        mtime_ns=status.st_mtime_ns,
        size=status.st_size if kind == "file" else 0,
        sha256=_sha256(file) if kind == "file" else "",
        target=os.readlink(file) if kind == "symlink" else "",
        links="",
        xattrs=_xattrs(file, as_root),
        uid=status.st_uid if as_root else None,
        gid=status.st_gid if as_root else None,
        device=(status.st_rdev if kind in ("char", "block") else 0) if as_root else None,
    )


def _sha256(file: Path) -> str:
    """Without changing the access time where the system lets us."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(file, flags | os.O_NOATIME)
    except PermissionError:
        fd = os.open(file, flags)
    with os.fdopen(fd, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _xattrs(file: Path, as_root: bool) -> tuple[tuple[str, str], ...]:
    """Names and values in base64; POSIX ACLs are system.posix_acl_access and system.posix_acl_default."""
    try:
        names = os.listxattr(file, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return ()
        raise
    wanted = (name for name in sorted(names) if as_root or name.startswith(("user.", "system.posix_acl")))
    return tuple((name, base64.b64encode(os.getxattr(file, name, follow_symlinks=False)).decode()) for name in wanted)


def _without_single_links(entries: dict[str, Entry]) -> dict[str, Entry]:
    """A file whose other names lie outside the root has one name here."""
    counts: dict[str, int] = {}
    for entry in entries.values():
        counts[entry.links] = counts.get(entry.links, 0) + 1
    return {
        path: dataclasses.replace(entry, links="") if entry.links and counts[entry.links] == 1 else entry
        for path, entry in entries.items()
    }
