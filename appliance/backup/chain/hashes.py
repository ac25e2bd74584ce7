"""The hashes of sealed files, remembered, so that a run need not read a whole repository again.

A hash is reused while size, mtime and inode of its file stand, and rot changes none of these. So every file is read
again when that was last done READ_AGAIN_SECONDS ago, a share of all in each run: a run each night reads everything
about once a month. Losing this file costs only time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.host.files import sha256_file, write_atomic
from appliance.units import DAY

READ_AGAIN_SECONDS = 30 * DAY
SHARE = 30
"""At most this part of all bytes, and at least one file, is read again in one run."""


@dataclass(frozen=True)
class Known:
    """The state and hash of a file when it was read, at `read_at` seconds UTC."""

    size: int
    mtime_ns: int
    inode: int
    sha256: str
    read_at: float


class HashCache:
    """SHA-256 by name; with `empty` nothing is known at first."""

    def __init__(self, path: Path, *, empty: bool = False) -> None:
        self._path = path
        self._known = {} if empty else dict(_load(path))

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def forget_oldest(self, names: Iterable[str], now: float) -> None:
        """Have those of `names` read again whose turn it is; a clock that was set back or forward is no reason to
        read more."""
        present = [(self._known[name].read_at, name) for name in names if name in self._known]
        left = sum(self._known[name].size for _, name in present) // SHARE
        for read_at, name in sorted(present):
            if abs(now - read_at) < READ_AGAIN_SECONDS:
                continue
            left -= self._known.pop(name).size
            if left <= 0:
                break

    def digest(self, name: str, file: Path, now: float) -> tuple[str, int]:
        """The hash and the size in bytes of `file`, known as `name`."""
        status = file.stat()
        stamp = (status.st_size, status.st_mtime_ns, status.st_ino)
        known = self._known.get(name)
        if known is None or (known.size, known.mtime_ns, known.inode) != stamp:
            known = self._known[name] = Known(*stamp, sha256_file(file), now)
        return known.sha256, known.size

    def learn(self, name: str, file: Path, sha256: str, now: float) -> None:
        """Note `file`, known as `name`, whose bytes were read elsewhere at `now`."""
        status = file.stat()
        self._known[name] = Known(status.st_size, status.st_mtime_ns, status.st_ino, sha256, now)

    def save(self, names: Iterable[str]) -> None:
        kept = {name: list(vars(self._known[name]).values()) for name in names}
        write_atomic(self._path, json.dumps(kept).encode(), mode=0o600)


def _load(path: Path) -> Iterator[tuple[str, Known]]:
    try:
        for name, values in json.loads(path.read_bytes()).items():
            yield name, Known(*values)
    except (OSError, ValueError, TypeError, AttributeError):
        return
