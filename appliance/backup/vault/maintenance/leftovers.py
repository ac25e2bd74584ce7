"""What in a holding is of no use any more, and for how long by the ageing clock.

The file `unreferenced` remembers for each such name (a path within the holding) its size and the age at which
thinning first found it useless: blobs that no list names, partials, rotten blobs, what a cut left behind. What is
used again or grows is forgotten and starts anew. Losing this memory makes all of it young again, never old.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from appliance.backup.vault.store import LIST, RECEIPT, Holding, size_of
from appliance.host.records import Record


def unreferenced_blobs(holding: Holding, referenced: Collection[str]) -> Iterator[Path]:
    """The blobs that no list names."""
    return (path for path in holding.blobs() if path.name not in referenced)


def remains(holding: Holding) -> Iterator[Path]:
    """What cuts leave behind: partials, rotten blobs, a list whose receipt never came, temporary files."""
    for folder in (holding.partial, holding.rotten):
        yield from sorted(folder.iterdir()) if folder.exists() else ()
    for folder in (holding.root, holding.book, holding.grants, *sorted(holding.generations.iterdir())):
        yield from sorted(folder.glob(".*.new"))
        if not (folder / RECEIPT).exists() and (folder / LIST).exists():
            yield folder / LIST


UNREFERENCED = Record(dict[str, tuple[int, int]])

type Noticed = Mapping[Path, tuple[int, int]]
"""By path: its size, and the age at which it was first found useless with that size."""


def notice(holding: Holding, found: Collection[Path], age_seconds: int) -> Noticed:
    """What is known of `found`, with what is noticed at `age_seconds` for the first time."""
    before = _load(holding)
    now: dict[Path, tuple[int, int]] = {}
    for path in found:
        size = size_of(path) or 0
        known = before.get(str(path.relative_to(holding.root)))
        now[path] = known if known and known[0] == size else (size, age_seconds)
    return now


def remember(holding: Holding, noticed: Noticed) -> None:
    """Keep it for the next pass; everything else is forgotten."""
    named = {str(path.relative_to(holding.root)): known for path, known in noticed.items()}
    UNREFERENCED.save(_path(holding), named)


def are_known(holding: Holding) -> bool:
    """Whether something may lie here that thinning removes, though nothing is held: a folder of a generation, or what
    was found useless last time. It costs one look at a folder and at a file."""
    return bool(holding.folders()) or (size_of(_path(holding)) or 0) > len("{}")


def _load(holding: Holding) -> dict[str, tuple[int, int]]:
    return UNREFERENCED.load_or(_path(holding), {})


def _path(holding: Holding) -> Path:
    return holding.root / "unreferenced"
