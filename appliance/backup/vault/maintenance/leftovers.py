"""The useless files of a replica, and for how long they are useless by the ageing clock.

The file `unreferenced` remembers for each such name (a path within the replica) its size and the age at which pruning
first found it useless: blobs that no list names, partials, corrupt blobs, remains of a cut. A file that is used again
or grows is forgotten and starts over. Losing this memory makes all of it young again, never old.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from appliance.backup.vault.store import LIST, RECEIPT, Replica, size_of
from appliance.host.records import Record


def unreferenced_blobs(replica: Replica, referenced: Collection[str]) -> Iterator[Path]:
    """The blobs that no list names."""
    return (path for path in replica.blobs() if path.name not in referenced)


def remains(replica: Replica) -> Iterator[Path]:
    """Return the remains of cuts: partials, corrupt blobs, a list whose receipt never came, temporary files."""
    for folder in (replica.partial, replica.corrupt):
        yield from sorted(folder.iterdir()) if folder.exists() else ()
    for folder in (replica.root, replica.book, replica.grants, *sorted(replica.generations.iterdir())):
        yield from sorted(folder.glob(".*.new"))
        if not (folder / RECEIPT).exists() and (folder / LIST).exists():
            yield folder / LIST


UNREFERENCED = Record(dict[str, tuple[int, int]])

type Noticed = Mapping[Path, tuple[int, int]]
"""By path: its size, and the age at which it was first found useless with that size."""


def notice(replica: Replica, found: Collection[Path], age_seconds: int) -> Noticed:
    """Return the notes on `found`; a file that is noticed for the first time was noticed at `age_seconds`."""
    before = _load(replica)
    now: dict[Path, tuple[int, int]] = {}
    for path in found:
        size = size_of(path) or 0
        known = before.get(str(path.relative_to(replica.root)))
        now[path] = known if known and known[0] == size else (size, age_seconds)
    return now


def remember(replica: Replica, noticed: Noticed) -> None:
    """Keep it for the next pass; everything else is forgotten."""
    named = {str(path.relative_to(replica.root)): known for path, known in noticed.items()}
    UNREFERENCED.save(_path(replica), named)


def are_known(replica: Replica) -> bool:
    """Whether something may lie here that pruning removes, though nothing is held: a folder of a generation, or what
    was found useless last time. It costs one look at a folder and at a file."""
    return bool(replica.folders()) or (size_of(_path(replica)) or 0) > len("{}")


def _load(replica: Replica) -> dict[str, tuple[int, int]]:
    return UNREFERENCED.load_or(_path(replica), {})


def _path(replica: Replica) -> Path:
    return replica.root / "unreferenced"
