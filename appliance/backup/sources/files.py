"""Walk a tree before borg does, to name what borg would pass over in silence or fail on in the middle of the night.

borg says nothing of sockets, and a folder that it may not enter becomes one warning among thousands of lines. The walk
costs three system calls a file and keeps nothing in memory but what it lists.

Its digest is of the name, inode, size, times, mode and owner of everything that it meets: two walks with one digest saw
the same, whatever somebody did to modification times, since nobody sets the time at which an entry changed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from operator import attrgetter
from re import Pattern

from appliance.backup.sources.model import Counts
from appliance.backup.writer.left_out_reasons import SOCKET
from appliance.backup.writer.manifest import LeftOut

_NAME = attrgetter("name")
EMPTY_SUBVOLUME_INODE = 2  # BTRFS_EMPTY_SUBVOL_DIR_OBJECTID: what a snapshot shows where a subvolume was nested


@dataclass(frozen=True)
class Walked:
    """`nested` are folders of a snapshot whose content is not in it. `changed_ns` is when an entry changed
    last, nanoseconds since 1970."""

    left_out: tuple[LeftOut, ...]
    counts: Counts
    nested: tuple[str, ...]
    digest: str
    changed_ns: int


def walk(root: str, excluded: Pattern[str] | None = None) -> Walked:
    """Go through `root`, a folder or a file, without following links; what vanishes meanwhile is passed over."""
    walker = _Walker(excluded)
    walker.start(root)
    counts = Counts(**walker.counts)
    return Walked(tuple(walker.left_out), counts, tuple(walker.nested), walker.digest(), walker.changed_ns)


class _Walker:
    def __init__(self, excluded: Pattern[str] | None) -> None:
        self.left_out: list[LeftOut] = []
        self.counts = dict.fromkeys(("files", "folders", "symlinks", "devices", "fifos", "bytes"), 0)
        self.nested: list[str] = []
        self._excluded = excluded
        # Root reads everything, so asking for each file would only cost.
        self._may_be_denied = os.geteuid() != 0
        self._pending: list[str] = []
        self.changed_ns = 0
        self._device = 0
        self._digest = hashlib.blake2b(digest_size=32)

    def digest(self) -> str:
        return self._digest.hexdigest()

    def start(self, root: str) -> None:
        status = os.stat(root)
        mode = status.st_mode
        self._device = status.st_dev
        if not stat.S_ISDIR(mode):
            self._digest.update(self._seen("", status))
        if stat.S_ISDIR(mode):
            self._pending.append(root)
        elif stat.S_ISREG(mode):
            self._file(root, status.st_size)
        else:
            self._special(root, mode)
        while self._pending:
            self._folder(self._pending.pop())

    def _folder(self, folder: str) -> None:
        self.counts["folders"] += 1
        try:
            status = os.stat(folder)
            if status.st_ino == EMPTY_SUBVOLUME_INODE:  # what readdir says of it is another number
                self.nested.append(folder)
            seen = [self._seen(f"{status.st_dev - self._device} ", status)]
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=_NAME):
                    if self._excluded is None or not self._excluded.search(entry.path.lstrip("/")):
                        seen.append(self._entry(entry))
            self._digest.update(b"".join(seen))
        except PermissionError:
            self.left_out.append(LeftOut(folder, "folder that may not be read"))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self.left_out.append(LeftOut(folder, f"folder that cannot be read: {error.strerror}"))

    def _entry(self, entry: os.DirEntry[str]) -> bytes:
        """Count `entry`; return what is seen of it: nothing where it vanished, or its folder may not be entered: its
        files say so."""
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            status = None
        if entry.is_symlink():
            self.counts["symlinks"] += 1
        elif entry.is_dir(follow_symlinks=False):
            self._pending.append(entry.path)
        elif entry.is_file(follow_symlinks=False):
            self._file(entry.path, status.st_size if status else 0)
        elif status:
            self._special(entry.path, status.st_mode)
        return self._seen(entry.name, status) if status else b""

    def _seen(self, name: str, of: os.stat_result) -> bytes:
        self.changed_ns = max(self.changed_ns, of.st_ctime_ns)
        times = f"{of.st_mtime_ns} {of.st_ctime_ns}"
        return f"{of.st_ino} {of.st_mode} {of.st_uid} {of.st_gid} {of.st_size} {times} {name}\0".encode(
            errors="surrogateescape"
        )

    def _file(self, path: str, size: int) -> None:
        self.counts["files"] += 1
        self.counts["bytes"] += size
        # Asked for the real account, the kernel would leave out the agent's capability to read what is others'.
        if self._may_be_denied and not os.access(path, os.R_OK, effective_ids=True) and os.path.lexists(path):
            self.left_out.append(LeftOut(path, "file that may not be read"))

    def _special(self, path: str, mode: int) -> None:
        if stat.S_ISSOCK(mode):
            self.left_out.append(LeftOut(path, SOCKET))
        elif stat.S_ISFIFO(mode):
            self.counts["fifos"] += 1
        else:
            self.counts["devices"] += 1
