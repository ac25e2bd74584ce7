"""Walk a tree before borg does, to name what borg would pass over in silence or fail on in the middle of the night.

borg says nothing of sockets, and a folder that it may not enter becomes one warning among thousands of lines. The walk
costs three system calls a file and keeps nothing in memory but what it lists.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from re import Pattern

from appliance.backup.sources.model import Counts
from appliance.backup.writer.left_out_reasons import SOCKET
from appliance.backup.writer.manifest import LeftOut

EMPTY_SUBVOLUME_INODE = 2  # BTRFS_EMPTY_SUBVOL_DIR_OBJECTID: what a snapshot shows where a subvolume was nested


@dataclass(frozen=True)
class Walked:
    """`nested` are folders of a snapshot whose content is not in it."""

    left_out: tuple[LeftOut, ...]
    counts: Counts
    nested: tuple[str, ...]


def walk(root: str, excluded: Pattern[str] | None = None) -> Walked:
    """Go through `root`, a folder or a file, without following links; what vanishes meanwhile is passed over."""
    walker = _Walker(excluded)
    walker.start(root)
    return Walked(tuple(walker.left_out), Counts(**walker.counts), tuple(walker.nested))


class _Walker:
    def __init__(self, excluded: Pattern[str] | None) -> None:
        self.left_out: list[LeftOut] = []
        self.counts = dict.fromkeys(("files", "folders", "symlinks", "devices", "fifos", "bytes"), 0)
        self.nested: list[str] = []
        self._excluded = excluded
        # Root reads everything, so asking for each file would only cost.
        self._may_be_denied = os.geteuid() != 0
        self._pending: list[str] = []

    def start(self, root: str) -> None:
        status = os.stat(root)
        mode = status.st_mode
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
            if os.stat(folder).st_ino == EMPTY_SUBVOLUME_INODE:  # what readdir says of it is another number
                self.nested.append(folder)
            with os.scandir(folder) as entries:
                for entry in entries:
                    if self._excluded is None or not self._excluded.search(entry.path.lstrip("/")):
                        self._entry(entry)
        except PermissionError:
            self.left_out.append(LeftOut(folder, "folder that may not be read"))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self.left_out.append(LeftOut(folder, f"folder that cannot be read: {error.strerror}"))

    def _entry(self, entry: os.DirEntry[str]) -> None:
        if entry.is_symlink():
            self.counts["symlinks"] += 1
        elif entry.is_dir(follow_symlinks=False):
            self._pending.append(entry.path)
        elif entry.is_file(follow_symlinks=False):
            self._file(entry.path, _size(entry))
        else:
            try:
                self._special(entry.path, entry.stat(follow_symlinks=False).st_mode)
            except OSError:
                return  # it vanished, or its folder may not be entered: its files say so

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


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0  # it vanished, or its folder may not be entered
