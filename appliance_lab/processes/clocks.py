"""Clocks on the wall of nodes that run as processes, set off by libfaketime where that is installed.

It moves what the time of day is and nothing else: spans are counted by CLOCK_BOOTTIME, as on a machine whose clock
somebody sets. Programs in Go, such as etcd, do not see it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LIBRARIES = Path("/usr/lib")
PATTERN = "*/faketime/libfaketime.so.1"


def library() -> Path | None:
    """Where libfaketime is; None where it is not installed."""
    return next(LIBRARIES.glob(PATTERN), None)


@dataclass(frozen=True)
class WallClock:
    """The wall clock of one node; `file` says by how much it is off."""

    file: Path

    def set_off(self, seconds: int) -> None:
        """Programs notice within a second."""
        new = self.file.with_name(f".{self.file.name}.new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self.file)

    def environment(self, found: Path) -> Mapping[str, str]:
        """The environment that makes a program believe in it, with the library `found`."""
        return {
            "LD_PRELOAD": str(found),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",  # programs that are killed would leave theirs for ever
        }
