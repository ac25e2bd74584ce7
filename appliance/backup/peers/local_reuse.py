"""The files of a wanted generation that are on this machine already: in its replicas, in a repository it wrote.

A standby that takes over, and an origin to which the service is handed back, then fetch only what is new to them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from appliance.backup.chain.proven import FETCHED, HELD, Proven
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import size_of
from appliance.host.files import copy_whole, link_own, sha256_file
from appliance.node.handle import Node
from appliance.trust.generation import Entry


def lacking(
    node: Node, service: str, entries: tuple[Entry, ...], folder: Path, proven: Proven, sealed: Path | None = None
) -> tuple[Entry, ...]:
    """Return those of `entries` whose file is neither in `folder` nor on this machine; the others lie there then.

    Files there may be of another repository of the service, whose segments have the same numbers: each is proven, and
    goes if it is wrong.
    """
    for entry in entries:
        path = folder / entry.path
        if path.exists() and not _is_readable_and_right(path, entry, proven):
            path.unlink()
    reuse_local(node, service, entries, folder, proven, sealed)
    return tuple(entry for entry in entries if not (folder / entry.path).exists())


def _is_readable_and_right(path: Path, entry: Entry, proven: Proven) -> bool:
    try:
        return proven.is_right(FETCHED, entry, path)
    except OSError:
        return False  # what cannot be read is as lost as what is wrong


def reuse_local(
    node: Node, service: str, entries: Iterable[Entry], folder: Path, proven: Proven, sealed: Path | None = None
) -> frozenset[str]:
    """Put into `folder` each of `entries` that is on this machine, and return their paths; the rest must be fetched.
    `sealed`: a folder in which this node sealed them itself.

    All are proven by their hash: what is held now or before, what is written here now, as it may be here for a repair.
    Data files are linked, which borg allows (it only adds and unlinks them); `config` and the like are copied.
    """
    placed = set()
    for entry in entries:
        target = folder / entry.path
        if target.exists():
            continue
        held, own = replica_of(node, service).blob(entry.sha256), node.service(service).repository / entry.path
        sources: list[tuple[Path, Callable[[Entry, Path], bool]]] = [
            (held, partial(proven.is_right, HELD)),
            (own, _is_right),
        ]
        sources += [(sealed / entry.path, _is_right)] if sealed else []
        for source, is_right in sources:
            # A file that may not be read is simply fetched.
            with contextlib.suppress(OSError):
                if is_right(entry, source):
                    _place(source, target, link=entry.path.startswith("data/"))
                    proven.learn(FETCHED, entry, target)
                    placed.add(entry.path)
                    break
    return frozenset(placed)


def _is_right(entry: Entry, path: Path) -> bool:
    return size_of(path) == entry.size and sha256_file(path) == entry.sha256


def _place(source: Path, target: Path, *, link: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        link_own(source, target)
    else:
        copy_whole(source, target)
