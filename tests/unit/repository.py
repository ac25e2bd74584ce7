"""The files of this repository, for tests that read all of them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("appliance", "appliance_lab")


@cache
def files() -> tuple[Path, ...]:
    """Tracked files, and new ones that are not ignored."""
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return tuple(path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file())


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def modules(*folders: str) -> Iterator[Path]:
    return (path for path in files() if path.suffix == ".py" and name(path).split("/")[0] in folders)


def folder(path: Path) -> str:
    """Two levels of the package and the pages, one of all else: `appliance/backup`, `docs/how-to`, `roles`."""
    parts = name(path).split("/")[:-1]
    return "/".join(parts[: 2 if parts[:1] in (["appliance"], ["docs"]) else 1]) or "."
