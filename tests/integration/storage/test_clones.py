"""A copy on btrfs takes no room and no time, and is a file of its own all the same."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.host.command import run
from appliance.host.disks import btrfs
from appliance.host.files import copy_whole
from appliance.units import MIB

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mkfs.btrfs"), reason="needs root and btrfs-progs"),
]
SIZE = 64 * MIB


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A btrfs that has room for one such file, and not for nine."""
    place = tmp_path / "disk"
    place.mkdir()
    btrfs.make_image(tmp_path / "image", 256 * MIB)
    btrfs.mount_image(tmp_path / "image", place)
    with open(place / "fill", "wb") as file:
        file.write(os.urandom(SIZE))
    yield place
    run(("umount", str(place)), timeout_seconds=60, check=True)


def test_copies_share_their_bytes_until_one_is_changed(place: Path) -> None:
    source = place / "fill"
    for number in range(8):
        copy_whole(source, place / f"copy-{number}")
    os.sync()
    changed = bytearray(source.read_bytes())
    changed[:5] = b"other"
    with open(place / "copy-0", "r+b") as file:
        file.write(b"other")
    assert (place / "copy-0").read_bytes() == changed
    assert (place / "copy-1").read_bytes() == source.read_bytes() != changed
    assert (place / "copy-1").stat().st_ino != source.stat().st_ino
