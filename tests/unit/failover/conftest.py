"""Common fixtures of the tests of actions and of the cycle."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.failover.world import World
from tests.worlds.documents import EXCLUSIVE


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, EXCLUSIVE)
