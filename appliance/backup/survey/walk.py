"""One look at the folders of a service: how much they hold, and how much of it got its content when. Nothing is read
but what folders say of their files.

A file counts with its data: a hole in a sparse file costs a backup nothing. A file with several names counts once.
Links are not followed, and what the kernel makes up (/proc, /sys) is passed over.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from re import Pattern

from appliance.backup.sources.excludes import expressions, matcher
from appliance.clock import SKEW_SECONDS_MAX, Clock
from appliance.errors import Forbidden, NotFound, UsageError
from appliance.host.disks.kernel_files import made_by_the_kernel
from appliance.units import DAY, MIB, printable

WEEK_DAYS = 7
NAMED_MAX = 3
SPARSE_BYTES_MIN = MIB
BLOCK_BYTES = 512
EXTENTS_MAX = 10_000
"""The holes of a file that are looked for; what follows them counts as data."""

type Tell = Callable[[int], None]
"""Called with the number of files seen, as often as there are folders."""


@dataclass(frozen=True)
class Scope:
    """The files of a service: `folders` by their real names, without what `exclude` names as in territory.yml."""

    folders: tuple[str, ...]
    exclude: tuple[str, ...] = ()

    @property
    def excluded(self) -> Pattern[str] | None:
        return matcher([it for folder in self.folders for it in expressions(self.exclude, folder)])


@dataclass(frozen=True)
class Seen:
    """`changed_by_day` has the bytes of the files that were changed last in each 24 hours before `at`, the latest
    first. `changed` and `arrived` are since an earlier look: bytes of files whose content is newer, and of those that
    have an older time but were put there or renamed since then. `undated` files have a time in the future only.
    `unreadable` are folders, the first ones by name and all by number."""

    at: float
    files: int
    bytes: int
    changed_by_day: tuple[int, ...]
    changed: int
    arrived: int
    undated: int
    unreadable: tuple[str, ...]
    unreadable_count: int


def open_folders(named: Sequence[Path]) -> tuple[str, ...]:
    """The folders `named`, by their real names, sorted, none of them within another. Raise NotFound, UsageError or
    Forbidden for one that cannot be surveyed."""
    found = sorted({_open_folder(folder) for folder in named})
    return tuple(it for it in found if not any(it.startswith(f"{of.rstrip('/')}/") for of in found if of != it))


def _open_folder(named: Path) -> str:
    shown = printable(str(named))
    try:
        folder = os.path.realpath(named, strict=True)
        status = os.stat(folder)
        if not stat.S_ISDIR(status.st_mode):
            raise UsageError("this is not a folder; name the folder that it is in.", where=shown)
        if made_by_the_kernel(folder, status.st_dev):
            raise UsageError("the kernel makes up what is in there; name a folder on a disk.", where=shown)
        os.scandir(folder).close()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound("there is no such folder. Is its disk mounted?", where=shown) from error
    except PermissionError as error:
        remedy = "Type the command as an account that may, or as root."
        raise Forbidden("this account may not read this folder.", where=shown, remedy=remedy) from error
    except OSError as error:
        raise UsageError(f"this folder cannot be read ({error.strerror}).", where=shown) from error
    return folder


def look(scope: Scope, clock: Clock, *, since: float | None = None, tell: Tell = lambda files: None) -> Seen:
    """Walk through `scope`; `since` is the time of an earlier look. What vanishes meanwhile is passed over."""
    return _Walker(clock, since, scope.excluded).walk(scope.folders, tell)


class _Walker:
    def __init__(self, clock: Clock, since: float | None, excluded: Pattern[str] | None) -> None:
        self._clock, self._since, self._excluded = clock, since, excluded
        self._at = self._now = clock.now()
        self._links: set[tuple[int, int]] = set()
        self._by_day = [0] * WEEK_DAYS
        self._files = self._bytes = self._changed = self._arrived = self._undated = 0
        self._unreadable: list[str] = []

    def walk(self, folders: Sequence[str], tell: Tell) -> Seen:
        pending = [(folder, -1) for folder in folders]
        while pending:
            folder, device = pending.pop()
            self._now = self._clock.now()  # what is written during an hour's walk is not of the future
            try:
                pending += self._folder(folder, device)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                self._unreadable.append(folder)
            tell(self._files)
        return Seen(
            at=self._at,
            files=self._files,
            bytes=self._bytes,
            changed_by_day=tuple(self._by_day),
            changed=self._changed,
            arrived=self._arrived,
            undated=self._undated,
            unreadable=tuple(map(printable, self._unreadable[:NAMED_MAX])),
            unreadable_count=len(self._unreadable),
        )

    def _folder(self, folder: str, device: int) -> list[tuple[str, int]]:
        """Count the files of `folder`; return the folders in it, each with the device of this one."""
        own = os.stat(folder, follow_symlinks=False).st_dev
        if device not in (-1, own) and made_by_the_kernel(folder, own):
            return []
        below = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if self._excluded and self._excluded.search(entry.path.lstrip("/")):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below.append((entry.path, own))
                elif entry.is_file(follow_symlinks=False):
                    try:
                        self._file(entry.path, entry.stat(follow_symlinks=False))
                    except FileNotFoundError:
                        continue
        return below

    def _file(self, path: str, status: os.stat_result) -> None:
        if status.st_nlink > 1:
            if (status.st_dev, status.st_ino) in self._links:
                return
            self._links.add((status.st_dev, status.st_ino))
        size = data_bytes(path, status)
        self._files += 1
        self._bytes += size
        latest = self._now + SKEW_SECONDS_MAX
        # A camera or a wrong clock dates a file into the future; then the file system knows when it was put there.
        content = next((it for it in (status.st_mtime, status.st_ctime) if it <= latest), None)
        if content is None:
            self._undated += 1
            return
        if (day := int(max(0.0, self._at - content) // DAY)) < WEEK_DAYS:
            self._by_day[day] += size
        if self._since is not None:
            if content > self._since:
                self._changed += size
            elif self._since < status.st_ctime <= latest:
                self._arrived += size


def data_bytes(path: str, status: os.stat_result) -> int:
    """The size of the file without its holes; all of it where that cannot be found out.

    Few blocks alone prove nothing: a disk that compresses has few, and some network disks say none.
    """
    size = status.st_size
    if size < SPARSE_BYTES_MIN or 2 * BLOCK_BYTES * status.st_blocks >= size:
        return size
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return size
    try:
        return _without_holes(fd, size)
    finally:
        os.close(fd)


def _without_holes(fd: int, size: int) -> int:
    total = at = 0
    for _ in range(EXTENTS_MAX):
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
            at = os.lseek(fd, start, os.SEEK_HOLE)
        except OSError:  # ENXIO: there is no data from here on
            return total
        total += at - start
    return total + max(0, size - at)
