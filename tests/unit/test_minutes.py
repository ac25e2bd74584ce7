"""The minutes that each suite may take: every suite has a row, and all of them are done in time by two workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.minutes import allowed, suite_of, too_long

TESTS = Path(__file__).parents[1]
TEST_ALL_MINUTES, WORKERS = 75, 2  # 50 is the goal


def test_every_suite_has_a_row_and_two_workers_can_do_them_in_time() -> None:
    suites = {suite_of(f"tests/{file.relative_to(TESTS)}") for file in TESTS.rglob("test_*.py")}
    assert set(allowed()) == suites - {"acceptance"}, "which is played on a real territory alone"
    assert sum(allowed().values()) <= WORKERS * TEST_ALL_MINUTES


@pytest.mark.parametrize(
    ("nodeid", "suite"),
    [
        ("tests/integration/vault/test_x.py::test_y[a/b]", "vault"),
        ("tests/integration/lab/moving/test_x.py::test_y", "lab"),
        ("tests/unit/cli/test_x.py::test_y", "unit"),
        ("tests/stories/test_x.py::test_y", "stories"),
    ],
)
def test_a_test_is_of_the_suite_of_its_folder(nodeid: str, suite: str) -> None:
    assert suite_of(nodeid) == suite


def test_a_suite_that_takes_too_long_is_named_with_both_figures() -> None:
    suite, minutes = next(iter(allowed().items()))
    assert list(too_long({suite: 60 * minutes}, pace=1.0)) == []
    [said] = too_long({suite: 60 * minutes + 6}, pace=1.0)
    assert said.startswith(f"{suite} took {minutes + 0.1:.1f} minutes")
    assert list(too_long({suite: 60 * minutes + 6}, pace=1.5)) == []
