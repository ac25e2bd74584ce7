"""The files that a partial archive lacks, put in place beside those that it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from appliance.borg.client import Borg
from appliance.borg.model import FileWarning


@dataclass(frozen=True, order=True)
class Fill:
    """`path`, as archives name it, which comes from `archive` because the one that is restored lacks it."""

    path: str
    archive: str


def install_fills(
    borg: Borg, archive: str, fills: Sequence[Fill], into: Path, *, privileges: bool = True
) -> tuple[FileWarning, ...]:
    """Extract `fills` into the folder `into`, where `archive` was extracted; resumable as that is.

    The folders above come along with the attributes that they had in the older archive; they get those of `archive`.
    """
    warnings: list[FileWarning] = []
    for name, paths in by_archive(fills).items():
        warnings += borg.extract(name, paths, into, privileges=privileges)
    above = {str(folder) for fill in fills for folder in PurePosixPath(fill.path).parents} - {"."}
    borg.extract_only(archive, sorted(above), into)
    return tuple(warnings)


def by_archive(fills: Sequence[Fill]) -> dict[str, list[str]]:
    """The paths that come from each archive."""
    return {
        name: [fill.path for fill in fills if fill.archive == name]
        for name in dict.fromkeys(it.archive for it in fills)
    }
