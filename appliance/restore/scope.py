"""The files that one person may see: some folders of some services. Nothing outside shows, not even in a number. Pure.

A folder is named as archives name it, "srv/shares/docs-a"; files in scope are below one of them. Folders of `None` are
everything, and none at all are nothing: a right that was forgotten gives no access.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.borg.errors import PathMissing
from appliance.restore.names import normal_form

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
    """Whether `path` is one of `folders` or lies below it; a path that climbs or that no file has lies nowhere."""
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        return False
    return folders is None or any(f"{path}/".startswith(_below(folder)) for folder in folders)


def missing(path: str) -> PathMissing:
    return PathMissing(f'no version of "{path}" is known.', remedy="Search for a part of its name.")


def condition(folders: Folders, words: Sequence[str] = ()) -> tuple[str, dict[str, Any]]:
    """The SQL that `path.path` lies below one of `folders`: between "folder/" and "folder0", the next byte after /.

    With `words`, in normal form, also that each stands below that folder: where shares lie on the machine is no name.
    """
    values: dict[str, Any] = {f"word{number}": word for number, word in enumerate(words)}
    if folders is None or any(_below(folder) == "" for folder in folders):
        return " AND ".join(f"instr(path.norm, :{word})" for word in values) or "1", values
    ranges = []
    for number, folder in enumerate(sorted(folders)):
        below = (f"instr(substr(path.norm, :after{number}), :word{word})" for word in range(len(words)))
        ranges.append(" AND ".join((f"path.path >= :from{number}", f"path.path < :below{number}", *below)))
        start = os.fsencode(_below(folder))
        values |= {f"from{number}": start, f"below{number}": start[:-1] + b"0"}
        values |= {f"after{number}": len(normal_form(_below(folder))) + 1}
    return f"({' OR '.join(ranges) or '0'})", values


def _below(folder: str) -> str:
    name = folder.strip("/")
    return "" if name in ("", ".") else f"{name}/"
