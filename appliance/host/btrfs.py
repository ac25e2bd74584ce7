"""A btrfs file system in a file of ours, its subvolumes and snapshots."""

from __future__ import annotations

from pathlib import Path

from appliance.host.command import run

TIMEOUT_SECONDS = 120.0
_SUBVOLUME_INODE = 256  # the number of every subvolume's own folder; no other folder has it at the top of a tree


def make_image(image: Path, size_bytes: int) -> None:
    """Make the sparse file `image` a btrfs of at most `size_bytes`; whole or not at all."""
    unfinished = image.with_suffix(".new")
    with open(unfinished, "wb") as file:
        file.truncate(size_bytes)
    _run("mkfs.btrfs", "-q", "-f", str(unfinished))
    unfinished.rename(image)


def mount_image(image: Path, place: Path) -> None:
    """Mount `image` at `place`; the loop device frees itself when it is unmounted, also by a crash of ours."""
    _run("mount", "-t", "btrfs", "-o", "loop,noatime,compress=zstd:1,user_subvol_rm_allowed", str(image), str(place))


def create(subvolume: Path) -> None:
    _run("btrfs", "-q", "subvolume", "create", str(subvolume))


def snapshot(source: Path, place: Path) -> None:
    """A writable snapshot of `source` at `place`."""
    _run("btrfs", "-q", "subvolume", "snapshot", str(source), str(place))


def delete(subvolume: Path) -> None:
    """Delete `subvolume` and those inside it, read-only snapshots too."""
    _run("btrfs", "-q", "subvolume", "delete", "--recursive", str(subvolume))


def is_subvolume(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and path.stat().st_ino == _SUBVOLUME_INODE


def _run(*argv: str) -> None:
    run(argv, timeout_seconds=TIMEOUT_SECONDS, check=True)
