"""Steps of a story: tests of one file that stand on each other, each of which says in a sentence what it saw."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

type Saw = Callable[[str], None]
LOST: set[Path] = set()
"""Files of which a step did not hold."""


@pytest.fixture
def saw(record_property: Callable[[str, object], None]) -> Saw:
    """Keeps the sentence for the report of a story."""
    return lambda sentence: record_property("saw", sentence)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.path in LOST:
        pytest.skip("not reached: an earlier step did not hold")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and item.get_closest_marker("steps"):
        LOST.add(item.path)
    return report
