"""A share, a real repository with two days of it, and the folder of its restore jobs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.borg.client import Borg
from tests.integration.restore.portal_requests import saved
from tests.worlds.repositories import borg_at, copy_whole

__all__ = ["saved"]  # a fixture


@pytest.fixture(scope="session")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A share and its repository with two archives: "monday" with everything, "tuesday" after a loss. The share stands
    as on Tuesday. Each test gets a copy: borg is slow to make them."""
    made = tmp_path_factory.mktemp("two-days")
    share, borg = made / "share", borg_at(made)
    borg.init()
    (share / "Conseil/2026").mkdir(parents=True)
    (share / "Conseil/2026/Délibération 12.odt").write_text("the deliberation")
    (share / "Conseil/2026/facture\udcff.pdf").write_text("the invoice")
    (share / "budget.ods").write_text("the budget")
    os.link(share / "budget.ods", share / "Conseil/budget lié.ods")
    os.symlink("budget.ods", share / "link")
    os.setxattr(share / "budget.ods", "user.note", b"kept")
    os.chmod(share / "Conseil", 0o2750)
    borg.create("monday", ["."], cwd=share, timestamp="2026-11-23T08:00:00Z")
    (share / "budget.ods").unlink()
    (share / "budget.ods").write_text("a wrong budget")
    for name in ("Délibération 12.odt", "facture\udcff.pdf"):
        (share / "Conseil/2026" / name).unlink()
    (share / "Conseil/2026/new.odt").write_text("written on tuesday")
    borg.create("tuesday", ["."], cwd=share, timestamp="2026-11-24T08:00:00Z")
    return made


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """The share as the town hall sees it today: yesterday's folder was damaged since."""
    return tmp_path / "share"


@pytest.fixture
def restores(tmp_path: Path) -> Path:
    return tmp_path / "state/restores"


@pytest.fixture
def borg(tmp_path: Path, two_days: Path) -> Borg:
    copy_whole(two_days, tmp_path)
    return borg_at(tmp_path)
