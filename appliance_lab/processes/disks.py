"""Small disks for what nodes in process mode keep of services, which can be filled. They are memory, and need root."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.host.command import run
from appliance.units import MIB

PAGE_BYTES = 4096
SIZE_BYTES = 256 * MIB
"""Borg refuses to begin with much less."""
MOUNT_SECONDS_MAX = 30.0


@dataclass(frozen=True)
class Disk:
    """The disk of one node, mounted at `place`."""

    place: Path

    @property
    def _filling(self) -> Path:
        return self.place / "filling"

    def fill(self) -> None:
        """To the last page, whatever others write meanwhile; a second time, also what they gave back."""
        with open(self._filling, "ab", buffering=0) as file:
            for size in (MIB, PAGE_BYTES):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass

    def empty(self) -> None:
        self._filling.unlink(missing_ok=True)


@contextlib.contextmanager
def disk_at(place: Path) -> Iterator[Disk]:
    """A disk at `place` while the context lasts; whatever used it last may still be ending."""
    place.mkdir(mode=0o700, exist_ok=True)
    options = f"size={SIZE_BYTES},mode=700"
    run(("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)), timeout_seconds=MOUNT_SECONDS_MAX, check=True)
    try:
        yield Disk(place)
    finally:
        run(("umount", "--lazy", str(place)), timeout_seconds=MOUNT_SECONDS_MAX, check=True)
