"""A share, a real repository with two days of it, and the folder of its restore jobs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.borg.client import Borg
from appliance.borg.model import Repository
from appliance.secret import Secret


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """The share as the town hall sees it today: yesterday's folder was damaged since."""
    return tmp_path / "share"


@pytest.fixture
def restores(tmp_path: Path) -> Path:
    return tmp_path / "state/restores"


@pytest.fixture
def borg(tmp_path: Path, share: Path) -> Borg:
    """Two archives: "monday" with everything, "tuesday" after a loss. The share stands as on Tuesday."""
    made = Borg(Repository(tmp_path / "state/repository", tmp_path / "state/borg", Secret(b"phrase")))
    made.init()
    (share / "Conseil/2026").mkdir(parents=True)
    (share / "Conseil/2026/Délibération 12.odt").write_text("the deliberation")
    (share / "Conseil/2026/facture\udcff.pdf").write_text("the invoice")
    (share / "budget.ods").write_text("the budget")
    os.link(share / "budget.ods", share / "Conseil/budget lié.ods")
    os.symlink("budget.ods", share / "link")
    os.setxattr(share / "budget.ods", "user.note", b"kept")
    os.chmod(share / "Conseil", 0o2750)
    made.create("monday", ["."], cwd=share, timestamp="2026-11-23T08:00:00Z")
    (share / "budget.ods").unlink()
    (share / "budget.ods").write_text("a wrong budget")
    for name in ("Délibération 12.odt", "facture\udcff.pdf"):
        (share / "Conseil/2026" / name).unlink()
    (share / "Conseil/2026/new.odt").write_text("written on tuesday")
    made.create("tuesday", ["."], cwd=share, timestamp="2026-11-24T08:00:00Z")
    return made
