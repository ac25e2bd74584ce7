"""A real borg on a real repository for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.borg.client import Borg
from appliance.borg.model import Repository
from appliance.secret import Secret

PASSPHRASE = Secret("phrase de passe à nous".encode())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "state/repository", tmp_path / "state/borg", PASSPHRASE)


@pytest.fixture
def borg(repository: Repository) -> Borg:
    made = Borg(repository, lock_wait_seconds=1)
    made.init()
    return made
