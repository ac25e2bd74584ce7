"""A town that lives through events; when a test fails, what happened and what was typed is shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.operator.town import Town, a_town


@pytest.fixture
def town(tmp_path: Path, operator_key: Path) -> Iterator[Town]:
    with a_town(tmp_path / "valley", operator_key) as made:
        try:
            yield made
        finally:
            print("\n".join((*made.happened, *made.typed)))
