"""The writing hand of the generator: makes folders as needed, never replaces a file, sets the times of folders last."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from appliance_lab.corpus.summary import Progress


class Tree:
    """Paths are relative to `root`, with "/". `bytes_written` counts content, `touched` the folders to date again."""

    def __init__(self, root: Path, bytes_planned: int, progress: Progress | None) -> None:
        self._root = os.fspath(root)
        self._known = {""}
        self._planned = bytes_planned
        self._progress = progress
        self.touched: set[str] = set()
        self.bytes_written = 0

    def place(self, path: str) -> str:
        """The full path of `path`, its folder made and counted as touched."""
        folder = path.rpartition("/")[0]
        self.touched.add(folder)
        self.folder(folder)
        return f"{self._root}/{path}"

    def folder(self, path: str) -> None:
        if path in self._known:
            return
        parent = path.rpartition("/")[0]
        self.folder(parent)
        self._known.add(path)
        full = f"{self._root}/{path}"
        if not os.path.isdir(full):
            os.mkdir(full)
            os.chmod(full, 0o755)  # whatever the umask
            self.touched.update((parent, path))

    def write(self, path: str, content: bytes, mode: int, mtime_ns: int) -> None:
        """A new file; FileExistsError when something has that name."""
        full = self.place(path)
        with open(full, "xb") as file:
            file.write(content)
        self.settle(full, mode, mtime_ns, len(content))

    def replace(self, path: str, content: bytes, mtime_ns: int) -> None:
        """Save as office programs do: a new file under the old name, with the old mode."""
        full = self.place(path)
        mode = os.stat(full).st_mode
        with open(full + "~", "xb") as file:
            file.write(content)
        os.rename(full + "~", full)
        self.settle(full, mode & 0o7777, mtime_ns, len(content))

    def append(self, path: str, content: bytes, mtime_ns: int) -> None:
        full = self.place(path)
        mode = os.stat(full).st_mode & 0o7777
        os.chmod(full, mode | 0o200)  # some are read-only
        with open(full, "ab") as file:
            file.write(content)
        self.settle(full, mode, mtime_ns, len(content))

    def settle(self, full: str, mode: int, mtime_ns: int, size: int) -> None:
        """Give a written file its mode and time, and tell of its `size`."""
        os.chmod(full, mode)
        os.utime(full, ns=(mtime_ns, mtime_ns))
        self.bytes_written += size
        if self._progress:
            self._progress(min(self.bytes_written, self._planned), self._planned)

    def date_folders(self, mtime_ns: Callable[[str], int]) -> None:
        """Last of all: writing in a folder changes its time. The root keeps its own."""
        for path in self.touched - {""}:
            moment = mtime_ns(path)
            os.utime(f"{self._root}/{path}", ns=(moment, moment))
        if self._progress:
            self._progress(self._planned, self._planned)
