"""Generations pinned by hard links, as seals and vaults keep them, and what their bytes are."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from appliance.borg.model import Repository
from appliance.borg.segments import committed


def sealed(repository: Repository, folder: Path) -> Path:
    """A generation as the vault keeps it: config and README as copies, segments as hard links; no index, no nonce."""
    for segment in committed(repository.path).segments:
        target = folder / segment.relative_to(repository.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(segment, target)
    for name in ("config", "README"):
        shutil.copy(repository.path / name, folder / name)
    return folder


def hashes(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
