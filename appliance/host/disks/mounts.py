"""The mounts of this machine, and unmounting those that are ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from appliance.host.command import run

TIMEOUT_SECONDS = 60.0


def mount_rows() -> Iterator[list[str]]:
    """The words of each mount, as in proc_pid_mountinfo(5), the earliest first."""
    with open("/proc/self/mountinfo", errors="surrogateescape") as file:
        yield from map(str.split, file)


def mounts_below(folder: Path) -> list[Path]:
    """The mount points at and below `folder`, the innermost and latest first."""
    found = [Path(_unescaped(words[4])) for words in mount_rows()]
    return [place for place in reversed(found) if place.is_relative_to(folder)]


def unmount_below(folder: Path) -> None:
    """Unmount everything at and below `folder`."""
    for place in mounts_below(folder):
        run(("umount", "--no-canonicalize", str(place)), timeout_seconds=TIMEOUT_SECONDS, check=True)


def _unescaped(text: str) -> str:
    """mountinfo writes blanks and backslashes of a path as \\ooo."""
    for code in ("\\040", "\\011", "\\012", "\\134"):
        text = text.replace(code, chr(int(code[1:], 8)))
    return text
