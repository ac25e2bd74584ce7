"""Comparison of what came out of an archive with what the archive says, entry by entry; each difference is one
sentence."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from appliance.backup.sources import sqlite
from appliance.borg.model import Item, Kind
from appliance.borg.resume import MTIME_TOLERANCE_SECONDS
from appliance.errors import ApplianceError, IntegrityError, NotFound
from appliance.host.command import CommandFailed, run
from appliance.host.files import sha256_file
from appliance.units import HOUR

_KINDS: Mapping[Kind, int] = {
    "file": stat.S_IFREG,
    "hardlink": stat.S_IFREG,
    "folder": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "fifo": stat.S_IFIFO,
    "char": stat.S_IFCHR,
    "block": stat.S_IFBLK,
}
DUMP_ENDING = ".dump"
SQLITE = b"SQLite format 3\0"


def compare_items(items: Iterable[Item], folder: Path) -> Iterator[str]:
    """Return the differences of `items`, restored below `folder`, from what they were: kind, size, time, mode,
    target."""
    for item in items:
        try:
            found = (folder / item.path).lstat()
        except OSError as error:
            if item.kind not in ("char", "block") or os.geteuid() == 0:  # only root can make a device
                yield f"{item.path}: was not restored ({os.strerror(error.errno or 0)})."
            continue
        yield from (f"{item.path}: {difference}" for difference in _differences(item, found, folder))


def _differences(item: Item, found: os.stat_result, folder: Path) -> Iterator[str]:
    if stat.S_IFMT(found.st_mode) != _KINDS[item.kind]:
        yield f"is not a {item.kind} any more."
        return
    if item.kind == "symlink":
        target = os.readlink(folder / item.path)
        if target != item.link_target:
            yield f"points to {target}, not to {item.link_target}."
        return
    if item.kind == "hardlink":
        return  # its size and time are those of its first name
    if item.kind == "file" and found.st_size != item.size:
        yield f"has {found.st_size} bytes, not {item.size}."
    if item.path != "." and abs(found.st_mtime - item.mtime_seconds) > MTIME_TOLERANCE_SECONDS:
        yield f"has another time: {found.st_mtime}, not {item.mtime_seconds}."
    if stat.S_IMODE(found.st_mode) & 0o777 != item.mode & 0o777:
        yield f"has mode {stat.S_IMODE(found.st_mode):04o}, not {item.mode:04o}."


def compare_contents(hashes: Mapping[str, str], folder: Path) -> Iterator[str]:
    """The files whose SHA-256 on the disk is not the one in `hashes`, by path."""
    for path, digest in hashes.items():
        try:
            if sha256_file(folder / path) != digest:
                yield f"{path}: its content differs from the archive."
        except OSError as error:
            yield f"{path}: cannot be read ({os.strerror(error.errno or 0)})."


def read_dumps(kind: str, items: Iterable[Item], folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Have each database of a service of this `kind` read by its own tools: what is broken, what was not proven."""
    broken, told = [], []
    for item in items:
        try:
            if kind == "postgresql" and item.path.endswith(DUMP_ENDING):
                read_postgresql_dump(folder / item.path)
            elif kind == "sqlite" and item.kind == "file" and _begins_with(folder / item.path, SQLITE):
                sqlite.check(folder / item.path)
        except (OSError, sqlite3.Error) as error:
            broken.append(f"{item.path}: {error}")
        except NotFound as error:
            told.append(f"{item.path}: {error}")
        except ApplianceError as error:
            broken.append(f"{item.path}: {error.what}")
    return tuple(broken), tuple(told)


def _begins_with(file: Path, magic: bytes) -> bool:
    with open(file, "rb") as opened:
        return opened.read(len(magic)) == magic


def read_postgresql_dump(file: Path) -> None:
    """Let pg_restore read all of a dump, and write it nowhere; raise IntegrityError, or NotFound without pg_restore."""
    try:
        run(("pg_restore", "--file=/dev/null", str(file)), timeout_seconds=HOUR, check=True)
    except CommandFailed as error:
        raise IntegrityError(f"pg_restore cannot read it: {error.result.tail()}", where=str(file)) from error
