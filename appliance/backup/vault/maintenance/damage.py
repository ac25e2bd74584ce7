"""The known damage of a replica, and the mark that keeps a generation that is not whole from being claimed.

`damage` lists what is corrupt or gone. A generation whose list names it gets a `damaged` mark, so that `head` does not
claim it and no restore takes it for whole. The list is written first, then the marks, and a corrupt blob leaves the
pool last; after a cut in between `settle` brings the marks in line with the list. It also forgets what has come back or
is named by no list any more. Everything here is called with `Replica.lock` held, apart from `known`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.vault.evidence import LINK, read_evidence
from appliance.backup.vault.store import DAMAGED, HEADER, LIST, RECEIPT, Replica, is_whole, size_of
from appliance.host.files import fsync_folder, write_atomic
from appliance.host.records import Record
from appliance.node.handle import Node

CORRUPT, MISSING = "rotten", "missing"  # in files and answers, so the first keeps its old word
KINDS = (CORRUPT, MISSING, HEADER, LIST, RECEIPT, LINK)


@dataclass(frozen=True, order=True)
class Damage:
    """One thing wrong: `kind` is one of KINDS; `name` a blob's hash for the first two, else a generation's folder name.

    A lost `link` is a parent header that is not here: the chain cannot be followed, but the generation itself is whole.
    """

    kind: str
    name: str

    @property
    def is_blob(self) -> bool:
        return self.kind in (CORRUPT, MISSING)


KNOWN = Record(tuple[Damage, ...], mode=0o640)


def known(replica: Replica) -> tuple[Damage, ...]:
    """Return the damage known now; an unreadable memory counts as nothing known, and the scrub finds it again."""
    return tuple(item for item in KNOWN.load_or(_path(replica), ()) if item.kind in KINDS)


def record(node: Node, replica: Replica, new: Iterable[Damage]) -> tuple[Damage, ...]:
    """Add to what is known and mark what it concerns; return what is known then."""
    _write(replica, {*known(replica), *new})
    return settle(node, replica)


def forget(replica: Replica, names: Container[str]) -> None:
    """Nothing is wrong any more with generations that are not known here any more."""
    found = known(replica)
    left = [item for item in found if item.name not in names]
    if len(left) < len(found):
        _write(replica, left)


def set_corrupt_aside(node: Node, replica: Replica, digest: str) -> bool:
    """Take a blob out of the pool if it fails its own hash, after marking what names it; say whether it did."""
    path = replica.blob(digest)
    if size_of(path) is None or is_whole(path, digest):
        return False
    record(node, replica, (Damage(CORRUPT, digest),))
    return replica.set_aside(digest)


def settle(node: Node, replica: Replica) -> tuple[Damage, ...]:
    """Forget what is repaired, mark and unmark generations accordingly; return what is still wrong."""
    if not _path(replica).exists():
        return ()
    found = known(replica)
    named = {item.name: _named_in(replica, item.name, found) for item in replica.listed()}
    blobs = frozenset().union(*named.values())
    left = {item for item in found if _still(node, replica, item, blobs)}
    for name, items in named.items():
        own = {item for item in left if item.name == name and item.kind in (HEADER, LIST)}
        _mark(replica, name, bool(own | (items & left)))
    if left != set(found):
        _write(replica, left)
    return tuple(sorted(left))


def _named_in(replica: Replica, name: str, items: Iterable[Damage]) -> frozenset[Damage]:
    """Those of `items` that are blobs of generation `name`; its list is read as text, because it may be the damage."""
    listing = replica.read(name, LIST)
    return frozenset(item for item in items if item.is_blob and item.name.encode() in listing)


def _still(node: Node, replica: Replica, item: Damage, named: frozenset[Damage]) -> bool:
    if item.is_blob:
        path = replica.blob(item.name)
        return item in named and (size_of(path) is None or not is_whole(path, item.name))
    return item.kind in read_evidence(node, replica, item.name).wrong


def _mark(replica: Replica, name: str, damaged: bool) -> None:
    mark = replica.path(name, DAMAGED)
    if damaged and not mark.exists():
        write_atomic(mark, b"", mode=0o440)
    elif not damaged and mark.exists():
        mark.unlink()
        fsync_folder(mark.parent)


def _write(replica: Replica, items: Iterable[Damage]) -> None:
    if ordered := tuple(sorted(items)):
        KNOWN.save(_path(replica), ordered)
    else:
        _path(replica).unlink(missing_ok=True)


def _path(replica: Replica) -> Path:
    return replica.root / "damage"
