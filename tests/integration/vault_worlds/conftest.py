"""A desk of its own for each test, copied from one that is made once: keys cost more than all the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.desk.desk import Desk, Generation
from tests.integration.desk.history import days_of
from tests.no_fsync import no_fsync

__all__ = ("no_fsync",)


@pytest.fixture(scope="session")
def made_desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk") / "made").create()


@pytest.fixture(scope="module")
def lived(made_desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, list[Generation]]:
    desk = made_desk.copy(tmp_path_factory.mktemp("lived") / "desk")
    return desk, days_of(desk, 3)


@pytest.fixture
def desk(made_desk: Desk, tmp_path: Path, request: pytest.FixtureRequest) -> Desk:
    """A desk of its own for each test: with the history of three days for those that ask for it, else without."""
    found: Desk = request.getfixturevalue("lived")[0] if "history" in request.fixturenames else made_desk
    return found.copy(tmp_path / "desk")


@pytest.fixture
def history(lived: tuple[Desk, list[Generation]]) -> list[Generation]:
    """Three days of four generations each, made just now."""
    return lived[1]
