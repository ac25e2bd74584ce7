"""The command by which systemd starts the pages: the first page after a quiet time waits for all that it loads.

Pages load nothing of the agent, nor of their worker, which lives in another process, they only read what it wrote down.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

ASKS = "import sys; import appliance.cli.internal.portal; print(*sys.modules)"
"""As `appliance internal portal serve` does, once it knows which command it is."""


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    said = subprocess.run((sys.executable, "-c", ASKS), capture_output=True, text=True, check=True, timeout=120)
    return set(said.stdout.split())


@pytest.mark.parametrize(
    "unneeded",
    [
        "appliance.agent",
        "appliance.portal.worker",
        "appliance.portal.freshness",
        "appliance.portal.dashboard.watch",
        "appliance.monitor.outbox_server",
        "appliance.monitor.post",
        "http.server",
        "prometheus_client",
        "smtplib",
    ],
)
def test_the_command_of_the_pages_does_not_load(loaded: set[str], unneeded: str) -> None:
    assert {it for it in loaded if it == unneeded or it.startswith(f"{unneeded}.")} == set()


def test_what_was_looked_at_is_the_command_of_the_pages(loaded: set[str]) -> None:
    assert {"appliance.portal.serve", "uvicorn"} <= loaded
