"""Repair the writer's own repository: what rotted on this disk comes back from a peer, by the hash that was sealed.

Only files of the newest sealed generation are looked at; what compaction may have removed since is no loss. A corrupt
one is replaced in one rename, so that it is cut safely, and a borg that reads meanwhile sees the old or the new one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance import typed
from appliance.backup.chain.chain import Sealed, chain_of
from appliance.backup.chain.seal import lost
from appliance.backup.peers.fetch import fetch
from appliance.errors import ApplianceError, NotFound
from appliance.host.files import fsync_folder, locked, sha256_file
from appliance.host.layout import ServiceLayout
from appliance.node.handle import Node
from appliance.trust.generation import Entry


@dataclass(frozen=True)
class Repaired:
    """Paths inside the repository: what came back, what is still corrupt; and for each peer that did not help, why."""

    service: str
    files: int
    mended: tuple[str, ...]
    left: tuple[str, ...]
    failed: Mapping[str, str]


def find_corrupt(node: Node, service: str) -> tuple[int, tuple[Entry, ...]]:
    """Read the repository of `service` again; how many files were read, and those that are gone or not what was sealed.

    Raise NotFound when nothing was sealed here.
    """
    layout, newest = node.service(service), _newest(node, service)
    entries = [entry for entry in newest.entries if entry.path.startswith("data/")]
    present = [entry for entry in entries if (layout.repository / entry.path).exists()]
    corrupt = tuple(entry for entry in present if not _is_whole(layout.repository, entry))
    return len(present), (*corrupt, *lost(layout, newest))


def repair(node: Node, service: str) -> Repaired:
    """Bring what is corrupt back from the peers, best first; raise Busy while a run of `service` is on."""
    layout, terms = node.service(service), node.bundle.terms(service)
    failed: dict[str, str] = {}
    with locked(layout.lock, what=f"the service {service}"):
        sealed = _newest(node, service)
        files, corrupt = find_corrupt(node, service)
        left = corrupt
        for peer in terms.others(node.name):
            if left:
                try:
                    _repair_from(node, service, peer, sealed, left)
                except ApplianceError as error:
                    failed[peer] = error.what
                left = tuple(entry for entry in left if not _is_whole(layout.repository, entry))
        shutil.rmtree(_staging(layout), ignore_errors=True)
    mended = tuple(entry.path for entry in corrupt if entry not in left)
    if corrupt:
        node.journal.write("mended", service=service, files=len(mended), left=len(left))
    return Repaired(service, files, mended, tuple(entry.path for entry in left), failed)


def _newest(node: Node, service: str) -> Sealed:
    sealed = chain_of(node, service).newest()
    if sealed is None or not node.service(service).repository.exists():
        raise NotFound(f"{service} has no sealed generation here.", remedy=f"Run `{typed.run(service)}`.")
    return sealed


def _is_whole(folder: Path, entry: Entry) -> bool:
    """A file that is gone or cannot be read is as lost as one that is wrong."""
    try:
        return sha256_file(folder / entry.path) == entry.sha256
    except OSError:
        return False


def _repair_from(node: Node, service: str, peer: str, sealed: Sealed, corrupt: tuple[Entry, ...]) -> None:
    """Take the `corrupt` files of `sealed` from `peer`, each proven by its hash, and put them in their places.

    The peer may not hold `sealed` yet: the same files are in what it holds.
    """
    layout = node.service(service)
    folder = _staging(layout)
    fetch(node, service, peer, None, folder, paths=frozenset(entry.path for entry in corrupt))
    for entry in corrupt:
        staged, place = folder / entry.path, layout.repository / entry.path
        if _is_whole(folder, entry):
            place.parent.mkdir(parents=True, exist_ok=True)
            os.rename(staged, place)
            fsync_folder(place.parent)
            _renew_sealed(place, layout.sealed / sealed.header.id.name / entry.path)


def _renew_sealed(place: Path, link: Path) -> None:
    """The copy that waits to be sent is the corrupt file itself, by another name."""
    if link.exists():
        aside = link.with_name(f"{link.name}.new")
        aside.unlink(missing_ok=True)
        os.link(place, aside)
        os.rename(aside, link)


def _staging(layout: ServiceLayout) -> Path:
    return layout.root / "mending"
