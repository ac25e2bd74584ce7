"""Read-only btrfs snapshots of this host's data, as `backup.versions` decides. Only root can make and delete them.

A program that reads from a snapshot holds a shared flock on its folder: so it is not dropped under the reader. The new
one is made before an old one goes.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.sources.snapshot_client import SHARES_SNAPSHOTS
from appliance.backup.versions import Keep, decide, is_ours
from appliance.errors import ApplianceError
from appliance.host.disks import btrfs
from appliance.host.files import locked
from appliance.territory.model import SHARES

LOCK = Path("/run/appliance/snapshots.lock")


@dataclass(frozen=True)
class Target:
    """A subvolume and the folder on the same file system that its snapshots lie in."""

    folder: Path
    into: Path
    keep: Keep
    mode: int


# Samba looks for previous versions inside the share. What is held for others and the agent's own keys are root's alone.
TARGETS = (
    Target(Path(SHARES), Path(SHARES_SNAPSHOTS), Keep(hours=48, days=35), 0o755),
    Target(Path("/srv/appliance"), Path("/srv/.appliance-snapshots"), Keep(hours=0, days=7), 0o700),
)


@dataclass(frozen=True)
class Kept:
    """The result for one folder. `in_use` should go and is read by somebody; `unsupported` says why nothing was
    done."""

    folder: str
    made: str = ""
    dropped: tuple[str, ...] = ()
    in_use: tuple[str, ...] = ()
    unsupported: str = ""


def keep_versions(target: Target, now: float, *, on_demand: bool = False, dry_run: bool = False) -> Kept:
    """Make and drop what is due at `now`, UTC seconds; `on_demand` makes one in any case."""
    if reason := _why_not(target):
        return Kept(str(target.folder), unsupported=reason)
    if dry_run:
        plan = decide(_present(target.into), now, target.keep, on_demand=on_demand)
        return Kept(str(target.folder), _path(target, plan.make), tuple(_path(target, it) for it in plan.drop))
    with locked(LOCK, what="the snapshots of this host", wait=True):
        return _carry_out(target, now, on_demand)


def _carry_out(target: Target, now: float, on_demand: bool) -> Kept:
    if not target.into.is_dir():
        target.into.mkdir(mode=target.mode)
    plan = decide(_present(target.into), now, target.keep, on_demand=on_demand)
    if plan.make:
        btrfs.snapshot(target.folder, target.into / plan.make, read_only=True)
    dropped = [name for name in plan.drop if _drop(target.into / name)]
    in_use = [name for name in plan.drop if name not in dropped]
    return Kept(
        str(target.folder),
        _path(target, plan.make),
        tuple(_path(target, name) for name in dropped),
        tuple(_path(target, name) for name in in_use),
    )


def _why_not(target: Target) -> str:
    """Why no snapshot can be made; raise ApplianceError where it would be made in a place that others can change."""
    if not target.folder.is_dir():
        return "there is no such folder"
    if not btrfs.is_subvolume(target.folder):
        return "it is not a btrfs subvolume: there are no previous versions"
    for folder in (target.into.parent, target.into):
        if folder.is_symlink() or (folder.exists() and folder.stat().st_uid != os.geteuid()):
            raise ApplianceError("this folder must belong to root.", where=str(folder), remedy="chown root: FOLDER")
    return ""


def _present(into: Path) -> tuple[str, ...]:
    """The names there are, oldest first by when the file system made them."""
    return tuple(name for _, name in sorted(_births(into)))


def _births(into: Path) -> Iterator[tuple[int, str]]:
    for path in into.iterdir() if into.is_dir() else ():
        if is_ours(path.name) and btrfs.is_subvolume(path):
            yield btrfs.birth(path), path.name


def _drop(snapshot: Path) -> bool:
    """Delete `snapshot` unless somebody reads it; whether it is gone."""
    fd = os.open(snapshot, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        btrfs.delete(snapshot)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def _path(target: Target, name: str) -> str:
    return str(target.into / name) if name else ""
