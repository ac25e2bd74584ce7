"""A read-only btrfs snapshot as the source, so that a backup is of one moment while people go on writing.

It is taken only when nothing is lost by it: a snapshot shows neither a subvolume nested in the source nor another file
system mounted in it, so then the tree in use is read, and the reason told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.host.command import run
from appliance.units import MINUTE

_SUBVOLUME_INODE = (
    256  # the root of every btrfs subvolume; other file systems have such an inode too, and are refused later
)
_TIMEOUT_SECONDS = 5 * MINUTE


def take(source: str, at: Path) -> str:
    """Make `at`, a new folder on the same file system, a snapshot of `source`; return why not, "" when it was made."""
    if os.stat(source).st_ino != _SUBVOLUME_INODE:
        return "it is not a btrfs subvolume"
    if os.geteuid() != 0:
        # A plain user can make one where he owns the subvolume, but by default never delete it again.
        return "only root can take and delete snapshots"
    if mounted := mounts_below(source, Path("/proc/self/mountinfo").read_text()):
        return f"another file system is mounted at {mounted[0]}"
    try:
        run(("btrfs", "subvolume", "snapshot", "-r", source, str(at)), timeout_seconds=_TIMEOUT_SECONDS, check=True)
    except ApplianceError as error:
        return f"no snapshot could be taken: {error}"
    return ""


def delete_below(folder: Path) -> None:
    """Delete every snapshot that lies in `folder`; raise CommandFailed when one cannot be."""
    for place, names, _ in os.walk(folder):
        status = os.stat(place)
        # A subvolume is told from a folder by its inode together with a device of its own.
        if status.st_ino == _SUBVOLUME_INODE and status.st_dev != os.stat(Path(place).parent).st_dev:
            names.clear()
            run(("btrfs", "subvolume", "delete", place), timeout_seconds=_TIMEOUT_SECONDS, check=True)


def mounts_below(folder: str, mountinfo: str) -> tuple[str, ...]:
    """The mount points inside `folder`, itself not counted; `mountinfo` as in proc_pid_mountinfo(5)."""
    found = (point for point, _ in _mounts(mountinfo))
    return tuple(sorted(point for point in found if point.startswith(folder.rstrip("/") + "/")))


def file_systems(folder: str, mountinfo: str) -> tuple[str, ...]:
    """The kinds of file system in which `folder` lies and that are mounted inside it, such as ext4."""
    mounts = dict(_mounts(mountinfo))  # what is mounted over another comes later
    around = [point for point in mounts if f"{folder}/".startswith(point.rstrip("/") + "/")]
    inside = [point for point in mounts if point.startswith(folder.rstrip("/") + "/")]
    return tuple(sorted({mounts[point] for point in (*inside, *([max(around, key=len)] if around else ()))}))


def _mounts(mountinfo: str) -> Iterator[tuple[str, str]]:
    """The place and the kind of each file system."""
    for line in mountinfo.splitlines():
        place, _, kind = line.partition(" - ")
        point = place.split(" ")[4].encode().decode("unicode_escape")
        yield point.encode("latin-1").decode(errors="surrogateescape"), kind.split(" ")[0]
