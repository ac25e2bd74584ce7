"""The files that a package is built from, copied to where a test may change it."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[3]
BUILT_FROM = (
    "appliance",
    "appliance_lab",
    "bin",
    "debian",
    "docs/runbooks",
    "inventory",
    "packages",
    "scripts",
    "systemd",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
RELEASED_FROM = (*BUILT_FROM, "tests/golden", ".gitignore", "CHANGELOG.md", "Makefile")


def copy_sources(place: Path, names: tuple[str, ...] = BUILT_FROM) -> Path:
    """Those files of this checkout, at `place`, which is returned."""
    for name in names:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, place / name)
    return place
