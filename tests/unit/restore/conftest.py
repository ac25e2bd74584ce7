"""A repository in memory and an empty catalogue of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from appliance.restore.schema import open_catalogue
from tests.unit.restore.memory_repository import MemoryRepository


@pytest.fixture
def repository(tmp_path: Path) -> MemoryRepository:
    return MemoryRepository(tmp_path / "r")


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_catalogue(tmp_path / "catalogue.db")) as connection:
        yield connection
