"""A btrfs file system in a file of ours, its subvolumes and snapshots."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from appliance.host.command import run

TIMEOUT_SECONDS = 120.0
_SUBVOLUME_INODE = 256  # the number of every subvolume's own folder; no other folder has it at the top of a tree

# BTRFS_IOC_INO_LOOKUP: asked for tree 0 it names the tree of the open folder.
_INO_LOOKUP_SIZE = 4096
_INO_LOOKUP = 3 << 30 | _INO_LOOKUP_SIZE << 16 | 0x94 << 8 | 18


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


def snapshot(source: Path, place: Path, *, read_only: bool = False) -> None:
    """A snapshot of `source` at `place`, writable unless `read_only`."""
    options = ("-r",) if read_only else ()
    _run("btrfs", "-q", "subvolume", "snapshot", *options, str(source), str(place))


def delete(subvolume: Path) -> None:
    """Delete `subvolume` and those inside it, read-only snapshots too."""
    _run("btrfs", "-q", "subvolume", "delete", "--recursive", str(subvolume))


def is_subvolume(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and path.stat().st_ino == _SUBVOLUME_INODE


def subvolumes(top: Path) -> Iterator[Path]:
    """The subvolumes below `top`, an outer one before those in it."""
    for folder, folders, _ in top.walk():
        yield from (folder / name for name in folders if is_subvolume(folder / name))


def birth(subvolume: Path) -> int:
    """The number of `subvolume`: each one made later has a higher one, whatever the clock says."""
    fd = os.open(subvolume, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        answer = bytearray(struct.pack("=QQ", 0, _SUBVOLUME_INODE).ljust(_INO_LOOKUP_SIZE, b"\0"))
        fcntl.ioctl(fd, _INO_LOOKUP, answer)
    finally:
        os.close(fd)
    return int(struct.unpack_from("=Q", answer)[0])


def _run(*argv: str) -> None:
    run(argv, timeout_seconds=TIMEOUT_SECONDS, check=True)
