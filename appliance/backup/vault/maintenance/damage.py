"""What is known to be wrong in a holding, and the mark that keeps what is not whole from being claimed.

`damage` lists what is rotten or gone. A generation whose list names it gets a `damaged` mark, so that `head` does not
claim it and no restore takes it for whole. The list is written first, then the marks, and a rotten blob leaves the
pool last; after a cut in between `settle` brings the marks in line with the list. It also forgets what has come back
or is named by no list any more. Everything here is called with `Holding.lock` held, apart from `known`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.vault.evidence import LINK, read_evidence
from appliance.backup.vault.store import DAMAGED, HEADER, LIST, RECEIPT, Holding, is_whole, size_of
from appliance.host.files import fsync_folder, write_atomic
from appliance.host.records import Record
from appliance.node.handle import Node

ROTTEN, MISSING = "rotten", "missing"
KINDS = (ROTTEN, MISSING, HEADER, LIST, RECEIPT, LINK)


@dataclass(frozen=True, order=True)
class Damage:
    """One thing wrong: `kind` is one of KINDS; `name` a blob's hash for the first two, else a generation's folder name.

    A lost `link` is a parent header that is not here: the chain cannot be followed, but the generation itself is whole.
    """

    kind: str
    name: str

    @property
    def is_blob(self) -> bool:
        return self.kind in (ROTTEN, MISSING)


KNOWN = Record(tuple[Damage, ...], mode=0o640)


def known(holding: Holding) -> tuple[Damage, ...]:
    """What is known to be wrong now; an unreadable memory counts as nothing known, and the scrub finds it again."""
    return tuple(item for item in KNOWN.load_or(_path(holding), ()) if item.kind in KINDS)


def record(node: Node, holding: Holding, new: Iterable[Damage]) -> tuple[Damage, ...]:
    """Add to what is known and mark what it concerns; return what is known then."""
    _write(holding, {*known(holding), *new})
    return settle(node, holding)


def forget(holding: Holding, names: Container[str]) -> None:
    """Nothing is wrong any more with generations that are not known here any more."""
    found = known(holding)
    left = [item for item in found if item.name not in names]
    if len(left) < len(found):
        _write(holding, left)


def set_rotten_aside(node: Node, holding: Holding, digest: str) -> bool:
    """Take a blob out of the pool if it fails its own hash, after marking what names it; say whether it did."""
    path = holding.blob(digest)
    if size_of(path) is None or is_whole(path, digest):
        return False
    record(node, holding, (Damage(ROTTEN, digest),))
    return holding.set_aside(digest)


def settle(node: Node, holding: Holding) -> tuple[Damage, ...]:
    """Forget what is mended, mark and unmark generations accordingly; return what is still wrong."""
    if not _path(holding).exists():
        return ()
    found = known(holding)
    named = {item.name: _named_in(holding, item.name, found) for item in holding.stored() if item.listed}
    blobs = frozenset().union(*named.values())
    left = {item for item in found if _still(node, holding, item, blobs)}
    for name, items in named.items():
        own = {item for item in left if item.name == name and item.kind in (HEADER, LIST)}
        _mark(holding, name, bool(own | (items & left)))
    if left != set(found):
        _write(holding, left)
    return tuple(sorted(left))


def _named_in(holding: Holding, name: str, items: Iterable[Damage]) -> frozenset[Damage]:
    """Those of `items` that are blobs of generation `name`; its list is read as text, because it may be the damage."""
    listing = holding.read(name, LIST)
    return frozenset(item for item in items if item.is_blob and item.name.encode() in listing)


def _still(node: Node, holding: Holding, item: Damage, named: frozenset[Damage]) -> bool:
    if item.is_blob:
        path = holding.blob(item.name)
        return item in named and (size_of(path) is None or not is_whole(path, item.name))
    return item.kind in read_evidence(node, holding, item.name).wrong


def _mark(holding: Holding, name: str, damaged: bool) -> None:
    mark = holding.path(name, DAMAGED)
    if damaged and not mark.exists():
        write_atomic(mark, b"", mode=0o440)
    elif not damaged and mark.exists():
        mark.unlink()
        fsync_folder(mark.parent)


def _write(holding: Holding, items: Iterable[Damage]) -> None:
    if ordered := tuple(sorted(items)):
        KNOWN.save(_path(holding), ordered)
    else:
        _path(holding).unlink(missing_ok=True)


def _path(holding: Holding) -> Path:
    return holding.root / "damage"
