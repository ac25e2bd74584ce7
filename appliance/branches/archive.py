"""A branch as an archive in the repository of its service, beside the service's own.

It has a name of its own, which no list of versions shows and no pruning touches; so it stays, here and at the peers, in
each generation from then on. Before it is read it is known to fit: the service's own backups need that room more. It is
saved whole or not at all: a part of it, as borg commits it while it saves a service, would only fill the disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance import typed
from appliance.backup.chain.chain import Chain
from appliance.backup.vault.limits import CURRENT_EPOCH_QUOTA
from appliance.borg.client import Borg
from appliance.borg.model import Archive, Created, Item
from appliance.borg.names import branch_name, branch_of
from appliance.borg.resume import is_complete
from appliance.branches.store import Branch
from appliance.clock import utc_seconds, utc_text
from appliance.errors import NoSpace
from appliance.host.command import CommandTimeout
from appliance.trust.bundle import Terms
from appliance.units import HOUR, MINUTE, format_bytes, format_duration

LEFT_FREE = 0.1
"""The part of the disk that stays free: it also holds the service itself and the backups of others."""
DAY_SHARE = 0.5
"""The part of what a peer takes in a day, which is five times the usual change of the service."""
ITEM_BYTES = 128
"""The size of a file's entry in an archive, beside its content."""
SECONDS_MAX, ASKED_SECONDS_MAX = 10 * MINUTE, HOUR
"""How long the service can be neither saved nor moved since a branch is being saved; and when a person asked for it."""


@dataclass(frozen=True)
class Room:
    """Bytes that a branch may add: on this disk, and at the peers."""

    disk: int
    peers: int

    def check(self, branch: Branch, added: int) -> None:
        """Raise NoSpace when `added` bytes are too many."""
        if added <= min(self.disk, self.peers):
            return
        on_disk = self.disk < self.peers
        allowed = f"{format_bytes(min(self.disk, self.peers))} may be used for it"
        remedy = "Free space there" if on_disk else "Raise change_per_day and quota in territory.yml and sign a bundle"
        raise NoSpace(
            f"branch {branch.epoch} of {branch.service} would add up to {format_bytes(added)}, and {allowed} "
            f"{'on this disk' if on_disk else 'at its peers'}.",
            where=str(branch.folder),
            remedy=f"{remedy}; or, if it is not needed: {leaving(branch)}",
        )


def leaving(branch: Branch) -> str:
    """Return the command to type when nothing of `branch` is wanted."""
    return f"appliance failover merge {branch.service} --branch {branch.epoch} --leave"


def room_for(terms: Terms, generation_bytes: int, folder: Path) -> Room:
    """Return what may be added to a service whose newest generation has so many bytes, in a repository below
    `folder`."""
    disk = shutil.disk_usage(folder)
    share = CURRENT_EPOCH_QUOTA * terms.quota_bytes - generation_bytes
    return Room(
        max(0, disk.free - round(LEFT_FREE * disk.total)),
        max(0, round(min(DAY_SHARE * terms.daily_bytes, share))),
    )


def saved_branches(borg: Borg) -> frozenset[int | None]:
    """The epochs of the branches that the repository has."""
    return frozenset(branch_of(it.name) for it in borg.archives(branches=True))


def added_bytes(borg: Borg, folder: Path) -> int:
    """At most what saving `folder` would add: all files but those that the newest archive has with this size and
    time."""
    sizes = [path.lstat().st_size for path in _files(folder)]
    newest = borg.archives()[-1:]
    items = (it for archive in newest for it in borg.items(archive.name, exact=False) if it.kind == "file")
    known = sum(it.size for it in items if "?" not in it.path and is_complete(it, folder / it.path))
    return sum(sizes) + ITEM_BYTES * len(sizes) - known


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in walk(folder) if path.is_file() and not path.is_symlink())


def common_archive(chain: Chain, borg: Borg, epoch: int) -> Archive | None:
    """The archive from which the writer after `epoch` went on; None when it is not known any more.

    A header tells whole seconds: an archive that was begun and sealed within one began before its generation, too.
    """
    moment = _common_moment(chain, epoch)
    before = [it for it in borg.archives() if moment is not None and int(it.start_utc_seconds) <= moment]
    return max(before, key=lambda it: it.start_utc_seconds) if before else None


def _common_moment(chain: Chain, epoch: int) -> float | None:
    """When the generation was sealed from which the writer after `epoch` went on, UTC seconds; None if unknown."""
    names = chain.names()
    later = next((name for name in names if int(name.split(".")[0]) > epoch), None)
    if later is None:
        return None
    previous = chain.header(later).previous
    before = (chain.header(name) for name in names if name[-16:] == previous[:16])
    return next((utc_seconds(it.time) for it in before if it.id.digest == previous), None)


def is_same(items: Mapping[str, Item], item: Item, path: Path) -> bool:
    """Whether what lies at `path` is by size and time, or as a link, what `item`, one of `items`, was saved from."""
    if item.kind == "symlink":
        return path.is_symlink() and os.readlink(path) == item.link_target
    first = items.get(item.link_target) if item.kind == "hardlink" else item
    return first is not None and path.is_file() and not path.is_symlink() and is_complete(first, path)


def walk(path: Path) -> Iterator[Path]:
    """All but folders at `path` and below; a link to a folder is none."""
    if not _is_folder(path):
        yield path
        return
    for above, folders, names in os.walk(path):
        yield from (Path(above, name) for name in (*names, *folders) if not _is_folder(Path(above, name)))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def save_branch(borg: Borg, branch: Branch, now: float, seconds_max: float) -> Created:
    """Save `branch` within `seconds_max`, without checkpoints."""
    name = branch_name(branch.service, branch.epoch, utc_text(now))
    paths = sorted(os.listdir(branch.folder))
    try:
        return borg.create(name, paths, cwd=branch.folder, checkpoint_seconds=0, timeout_seconds=seconds_max)
    except CommandTimeout as error:
        error.remedy = (
            f"`{typed.run(branch.service)}` gives it {format_duration(ASKED_SECONDS_MAX)}, during which "
            f"the service cannot move; or, if it is not needed: {leaving(branch)}"
        )
        raise
