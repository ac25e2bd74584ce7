"""One town hall with its portal for all tests of this folder, and a browser."""

from __future__ import annotations

import site
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.portal.world import World, running_world

ENVIRONMENT = Path(__file__).parents[3] / ".venv"
CHROMIUM = "/usr/bin/chromium"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs them all: they share the town hall."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("portal"))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("portal")) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium. What drives it is in the environment of the linters, behind Debian's own packages.

    It has an event loop that runs until it ends: no test of another file could have its own beside it.
    """
    folder = ENVIRONMENT / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    site.addsitedir(str(folder))
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no Playwright: type `make setup` with a package index"
    )
    with playwright.sync_playwright() as started:
        # Root may not use Chromium's own sandbox; what it opens here are our own pages.
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()
