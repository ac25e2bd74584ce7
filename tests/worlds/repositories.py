"""A repository in a folder of a test, and copies of a folder that has one: borg works on a copy as on what it made."""

from __future__ import annotations

import subprocess
from pathlib import Path

from appliance.borg.client import Borg
from appliance.borg.model import Repository
from appliance.secret import Secret


def borg_at(folder: Path) -> Borg:
    """Return borg on the repository below `folder`, which may be still to make."""
    return Borg(Repository(folder / "state/repository", folder / "state/borg", Secret(b"phrase")))


def copy_whole(folder: Path, to: Path) -> None:
    """Copy what is in `folder` into `to`, with links, pipes, modes, times and attributes."""
    subprocess.run(("cp", "-a", f"{folder}/.", str(to)), check=True)
