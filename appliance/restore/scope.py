"""What one person may see: some folders of some services. Nothing outside shows, not even in a number. Pure.

A folder is named as archives name it, "srv/shares/docs-a"; what is in scope lies below one of them. Folders of `None`
are everything, and none at all are nothing: a right that was forgotten opens no door.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.borg.errors import PathMissing

type Folders = Collection[str] | None


@dataclass(frozen=True)
class Scope:
    """`folders` by service: what a secretary gets from the shares of her town halls, the maintenance team from all."""

    folders: Mapping[str, Folders] = field(default_factory=dict)

    def of(self, service: str) -> Folders:
        """The folders of `service`; none for one that is out of scope."""
        return self.folders.get(service, ())

    def check(self, service: str, path: str) -> None:
        """Raise PathMissing for what is out of scope: it looks as if it did not exist."""
        if not holds(self.of(service), path):
            raise missing(path)


def holds(folders: Folders, path: str) -> bool:
    """Whether `path` is one of `folders` or lies below it; a path that climbs lies nowhere."""
    if any(part in ("", ".", "..") for part in path.split("/")):
        return False
    return folders is None or any(f"{path}/".startswith(_below(folder)) for folder in folders)


def missing(path: str) -> PathMissing:
    return PathMissing(f'no version of "{path}" is known.', remedy="Look for a part of its name.")


def condition(folders: Folders) -> tuple[str, dict[str, Any]]:
    """The SQL that `path.path` lies below one of `folders`: between "folder/" and "folder0", the next byte after /."""
    if folders is None or any(_below(folder) == "" for folder in folders):
        return "1", {}
    values: dict[str, Any] = {}
    for number, folder in enumerate(sorted(folders)):
        start = os.fsencode(_below(folder))
        values |= {f"from{number}": start, f"below{number}": start[:-1] + b"0"}
    ranges = (f"path.path >= :from{number} AND path.path < :below{number}" for number in range(len(folders)))
    return f"({' OR '.join(ranges) or '0'})", values


def _below(folder: str) -> str:
    name = folder.strip("/")
    return "" if name in ("", ".") else f"{name}/"
