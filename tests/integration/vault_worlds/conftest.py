"""A desk of its own for each test, copied from one that is made once: keys cost more than all the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.backup.peers import conversation
from tests.integration.vault_worlds.history import days_of
from tests.no_fsync import no_fsync
from tests.worlds.vaults import Generation, VaultWorld
from tests.worlds.vaults_in_process import World

__all__ = ("no_fsync",)


@pytest.fixture(scope="session")
def made_desk(tmp_path_factory: pytest.TempPathFactory) -> VaultWorld:
    return VaultWorld(tmp_path_factory.mktemp("desk") / "made").create()


@pytest.fixture(scope="module")
def lived(made_desk: VaultWorld, tmp_path_factory: pytest.TempPathFactory) -> tuple[VaultWorld, list[Generation]]:
    vaults = made_desk.copy(tmp_path_factory.mktemp("lived") / "desk")
    return vaults, days_of(vaults, 3)


@pytest.fixture
def vaults(made_desk: VaultWorld, tmp_path: Path, request: pytest.FixtureRequest) -> VaultWorld:
    """A desk of its own for each test: with the history of three days for those that ask for it, else without."""
    found: VaultWorld = request.getfixturevalue("lived")[0] if "history" in request.fixturenames else made_desk
    return found.copy(tmp_path / "desk")


@pytest.fixture
def begun(vaults: VaultWorld, monkeypatch: pytest.MonkeyPatch) -> World:
    """docs-a has its first grant and nothing of it is saved yet; every line leads to a vault in this process."""
    made = World(vaults)
    monkeypatch.setattr(conversation, "Line", made.line)
    made.begin()
    return made


@pytest.fixture
def history(lived: tuple[VaultWorld, list[Generation]]) -> list[Generation]:
    """Three days of four generations each, made just now."""
    return lived[1]
