from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.ansible.control import Control, control_in


@pytest.fixture
def control(tmp_path: Path) -> Control:
    return control_in(tmp_path)
