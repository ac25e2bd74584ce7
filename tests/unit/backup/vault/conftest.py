"""A desk of its own for each test, copied from one that is made once: keys cost more than all the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.backup.vault.desk import Desk


@pytest.fixture(scope="session", autouse=True)
def no_fsync() -> Iterator[None]:
    """These tests cut no power, and hundreds of small pushes would wait for the disk only; the order of the writes is
    tested all the same, where a test says so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda fd: None)
        yield


@pytest.fixture(scope="session")
def made_desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk") / "made").create()


@pytest.fixture
def desk(made_desk: Desk, tmp_path: Path) -> Desk:
    return made_desk.copy(tmp_path / "desk")
