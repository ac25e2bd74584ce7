"""The envelopes of a service at its writer: those that this node made, and those of the writer before it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from appliance.backup.chain.chain import Chain


def made_envelopes(folder: Path) -> Mapping[str, float]:
    """When the key was sealed to each recipient, UTC seconds. It is sealed once to each, so the age of the file is that
    of the envelope."""
    return {path.stem: path.stat().st_mtime for path in sorted(folder.glob("*.age"))} if folder.is_dir() else {}


def inherited_envelopes(chain: Chain) -> frozenset[str]:
    """The recipients in the list of the newest generation: until a machine that took the service over writes its first
    backup, the envelopes of the writer before are those that open it."""
    newest = chain.newest()
    paths = (PurePosixPath(entry.path) for entry in newest.entries) if newest else ()
    return frozenset(path.stem for path in paths if path.parent.name == "envelopes")
