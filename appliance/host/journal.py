"""The node's journal: one event a line, appended in one write, with names and numbers; never a secret, never a file
name of a user's.

A line that a full disk cut short is ended before the next one, which it would swallow. A file that has grown to
ROTATE_BYTES is renamed to `journal.jsonl.1`, the one before that to `.2`; the oldest of KEPT is removed. So the journal
keeps about 330,000 events, two months of the busiest node, in at most 72 MiB.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from appliance.clock import Clock, utc_text
from appliance.units import MIB

ROTATE_BYTES = 8 * MIB
KEPT = 8


class Journal:
    """The file at `path`; with None the journal of the machine, by way of standard error: another account's file is
    not ours to write."""

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def write(self, event: str, **details: Any) -> None:
        """Append `event`; O_APPEND keeps lines of several processes whole."""
        line = json.dumps({"time": utc_text(self._clock.now()), "event": event, **details}, ensure_ascii=False)
        if self._path is None:
            print(line, file=sys.stderr, flush=True)
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _append(fd, line.encode() + b"\n")
            if os.fstat(fd).st_size >= ROTATE_BYTES:
                with contextlib.suppress(OSError):  # the line is there; the next one tries again
                    _rotate(self._path, fd)
        finally:
            os.close(fd)

    def note(self, event: str, **details: Any) -> None:
        """As `write`, by who must go on: on a full disk only the line is missing."""
        with contextlib.suppress(OSError):
            self.write(event, **details)

    def events(self, event: str | None = None) -> Iterator[dict[str, Any]]:
        """The events that are kept, oldest first; a line cut by a power failure or a full disk is passed over."""
        if self._path is None:
            return
        for text in _texts(self._path):
            for line in text.splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if event is None or entry.get("event") == event:
                    yield entry


def journal_files(path: Path) -> tuple[Path, ...]:
    """The file that is written now, and those that were renamed, newest first; what is there of them."""
    rotated = (_rotated(path, number) for number in range(1, KEPT + 1))
    return tuple(it for it in (path, *rotated) if it.exists())


def _append(fd: int, line: bytes) -> None:
    """One write, after an end for a line that was cut; raise OSError when not all of it could be written."""
    if not _ends_with_a_line(fd):
        line = b"\n" + line
    if os.write(fd, line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _ends_with_a_line(fd: int) -> bool:
    size = os.fstat(fd).st_size
    return not size or os.pread(fd, 1, size - 1) == b"\n"


def _rotate(path: Path, fd: int) -> None:
    """Rename the file open as `fd`, unless another process just did. One that has it open still ends its line there."""
    fcntl.flock(fd, fcntl.LOCK_EX)
    if not os.path.samestat(os.fstat(fd), os.stat(path)):
        return
    for number in range(KEPT - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            os.rename(_rotated(path, number), _rotated(path, number + 1))
    os.rename(path, _rotated(path, 1))


def _rotated(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _texts(path: Path) -> Iterator[str]:
    """The content of each file, oldest first. All are opened before one is read, the newest first: one that is renamed
    meanwhile is seen twice, and passed over once, where the other order would miss it."""
    with contextlib.ExitStack() as held:
        files: dict[int, TextIO] = {}
        for file in journal_files(path):
            with contextlib.suppress(FileNotFoundError):
                opened = held.enter_context(open(file, errors="replace"))
                files.setdefault(os.fstat(opened.fileno()).st_ino, opened)
        for text in reversed(files.values()):
            yield text.read()
