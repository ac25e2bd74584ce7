"""One hash over a tree: two trees with the same digest hold the same names, bytes, modes, times and links."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from appliance.host.files import sha256_file
from appliance_lab.corpus.summary import walk


def tree_digest(root: Path) -> str:
    """SHA-256 in hex of everything below `root`, but owners, extended attributes and access lists."""
    total = hashlib.sha256()
    first_names: dict[int, str] = {}
    for path, status in walk(root):
        shown = [path, f"{status.st_mode:o}", str(status.st_mtime_ns), _content(root / path, status)]
        if stat.S_ISREG(status.st_mode):
            shown.append(first_names.setdefault(status.st_ino, path))
        total.update("\0".join(shown).encode(errors="surrogateescape") + b"\n")
    return total.hexdigest()


def _content(path: Path, status: os.stat_result) -> str:
    if stat.S_ISREG(status.st_mode):
        return sha256_file(path)
    return os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""
