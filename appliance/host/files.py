"""Durable files: whole or not at all, known to be on the disk before we say so."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from appliance.errors import Busy, IntegrityError, NoSpace, NotFound, UsageError
from appliance.units import MIB

UNSETTLED_NS = 10**9

READ_SIZE = MIB
HANDED_OVER = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
"""So a shell names a pipe that it made, with somebody at its other end."""


def fsync_folder(folder: Path) -> None:
    """Make the names in `folder` durable: a rename is lost in a power cut until its folder is synced."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write `data` to `path`: fsync, rename, fsync of the folder. After a cut the old or the new content is there."""
    temporary = path.with_name(f".{path.name}.{threading.get_native_id()}.new")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, mode)
            file.write(data)
            file.flush()
            os.fsync(fd)
        os.rename(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "Free space on this disk, then run the command again."
            raise NoSpace("the disk is full.", where=str(path), remedy=remedy) from error
        raise
    fsync_folder(path.parent)


def begin_file(path: Path) -> BinaryIO:
    """Open the new file `path`, its owner's alone, to be written: what an earlier call left is removed first, and no
    link is followed."""
    path.unlink(missing_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return open(os.open(path, flags, 0o600), "w+b")


def read_plain(name: str, bytes_max: int, *, folder: int) -> bytes:
    """The content of the file `name` in the open `folder` that somebody else writes.

    Raise IntegrityError for a link, a folder, a pipe or a device, and for more than `bytes_max` bytes.
    """
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise IntegrityError("there is a link or a device in place of a file.", where=name) from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise IntegrityError("there is a folder, a pipe or a device in place of a file.", where=name)
    with open(fd, "rb") as file:
        raw = file.read(bytes_max + 1)
    if len(raw) > bytes_max:
        raise IntegrityError(f"this file has more than {bytes_max} bytes.", where=name)
    return raw


def read_at_once(path: Path) -> bytes:
    """The content of `path`, which may be another account's: a pipe is empty, where reading it would wait for ever."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
        return file.readall() or b""


def read_named(path: Path, bytes_max: int) -> bytes:
    """The content of the file `path`, which somebody named, of one with more than `bytes_max` one byte more than that.

    Raise NotFound where there is none, UsageError for what cannot be read as one: a pipe that lies there would be
    waited for, for ever. One that the shell hands over is read.
    """
    try:
        with open(path, "rb", opener=_open_ordinary) as file:
            return file.read(bytes_max + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound("there is no such file.", where=str(path)) from error
    except PermissionError:
        raise
    except OSError as error:
        raise UsageError(f"this file cannot be read ({error.strerror}).", where=str(path)) from error


def _open_ordinary(name: str, flags: int) -> int:
    handed_over = name.startswith(HANDED_OVER)
    fd = os.open(name, flags if handed_over else flags | os.O_NONBLOCK)
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode) or (handed_over and not stat.S_ISDIR(mode)):
        return fd
    os.close(fd)
    what = "this is a folder, not a file." if stat.S_ISDIR(mode) else "this is a pipe or a device, not a file."
    raise UsageError(what, where=name)


def make_private_folder(path: Path) -> Path:
    """Create `path` and its parents, readable by their owner only; return it."""
    if path.exists():
        return path
    # mkdir(parents=True) would give only the last one its mode.
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    return path


def mark_of(folder: str | Path) -> int:
    """Change marker of `folder`: mtime in ns, 0 if missing. It changes when a name in `folder` does, or a file by
    `write_atomic`. A recent mtime yields a fresh marker on every call, since another write may share the tick."""
    try:
        changed = os.stat(folder).st_mtime_ns
    except FileNotFoundError:
        return 0
    now = time.time_ns()
    return changed if abs(now - changed) > UNSETTLED_NS else now


def sha256_file(path: Path) -> str:
    """SHA-256 of the content of `path` in lower-case hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def locked(path: Path, *, what: str, shared: bool = False, wait: bool = False) -> Iterator[None]:
    """Hold the lock file `path`; the kernel frees it when the process dies, so no stale lock is ever left.

    Raise Busy with `what` in its sentence when somebody holds it and `wait` is false.
    """
    make_private_folder(path.parent)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(fd, kind if wait else kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(f"{what} is in use by another process.", remedy="Try again when it has ended.") from error
        # Its last holder may have taken the file away: who locks what has no name any more excludes nobody.
        if os.fstat(fd).st_nlink == 0:
            raise Busy(f"{what} has just been removed by another process.", remedy="Try again.")
        yield
    finally:
        os.close(fd)


def link_own(source: Path, target: Path) -> None:
    """Make `target` a link to `source` where that file is this account's own and on the same disk; else a copy.

    The kernel lets nobody link another's file, but root and programs with its powers: they would leave a link that the
    account they work for can neither link nor change (on a host, what is held belongs to the sealer).
    """
    if source.stat().st_uid == os.geteuid():
        try:
            os.link(source, target)
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    copy_whole(source, target)


def copy_whole(source: Path, target: Path) -> None:
    """Copy the content of `source`; `target` is there whole, or not at all. On btrfs and XFS no byte is copied."""
    copy = target.with_name(f".{target.name}.copy")
    if not _clone(source, copy):
        shutil.copyfile(source, copy)
    copy.rename(target)


def _clone(source: Path, target: Path) -> bool:
    """Have both share their bytes until one is changed (ioctl_ficlone(2)); False where the filesystem cannot."""
    with open(source, "rb") as given, open(target, "wb") as made:
        try:
            fcntl.ioctl(made, fcntl.FICLONE, given.fileno())
        except OSError:
            return False
    return True
