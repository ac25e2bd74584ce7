"""Put a folder of a test on a small disk of its own, which can be filled; it is memory, and needs root."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.host.command import run
from appliance_lab.processes.disks import Disk


def mount(place: Path, size_bytes: int, *options: str) -> None:
    """Mount a tmpfs at `place`, or give the one there another size with "remount"; skip where nobody may."""
    words = ("mount", "-t", "tmpfs", "-o", ",".join((f"size={size_bytes}", "mode=700", *options)), "tmpfs", str(place))
    done = run(words, timeout_seconds=20)
    if done.exit_code != 0:
        pytest.skip(f"this machine mounts nothing for us: {done.tail()}")


@contextmanager
def on_small_disk(folder: Path, size_bytes: int) -> Iterator[Disk]:
    """`folder` with all that is in it on a disk of `size_bytes` for as long as the context lasts; what is in it then
    stays."""
    aside = folder.with_name(f"{folder.name}.aside")
    folder.rename(aside)
    folder.mkdir(mode=0o700)
    mount(folder, size_bytes)
    try:
        run(("cp", "-aT", str(aside), str(folder)), timeout_seconds=60, check=True)
        yield Disk(folder)
        shutil.rmtree(aside)
        # A program that still runs may remove a file meanwhile, of which cp complains.
        run(("cp", "-aT", str(folder), str(aside)), timeout_seconds=60)
    finally:
        run(("umount", "--lazy", str(folder)), timeout_seconds=20, check=True)
        folder.rmdir()
        aside.rename(folder)


def free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
