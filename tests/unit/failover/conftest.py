"""What tests of actions and of the cycle begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.failover.test_act import World
from tests.unit.failover.test_granting import EXCLUSIVE


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, EXCLUSIVE)
