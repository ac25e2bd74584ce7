"""Pages load no part of the agent: they only read what the worker wrote down, and start within a second."""

from __future__ import annotations

import subprocess
import sys

ASKS = (
    "import sys; import appliance.portal.serve; print(*(it for it in sys.modules if it.startswith('appliance.agent')))"
)


def test_the_pages_load_nothing_of_the_agent() -> None:
    said = subprocess.run((sys.executable, "-c", ASKS), capture_output=True, text=True, check=True, timeout=120)
    assert said.stdout.split() == []
