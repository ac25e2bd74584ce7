"""A slow machine gets more time, and what it leaves out is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import pace
from tests.pace import LONG, PACE, VARIABLE, in_time

ROOT = Path(__file__).parents[2]
SOMETHING = "tests/unit/test_secret.py"


def play(*arguments: str, pace: str = "3.0") -> str:
    """Return the output of pytest for one file of tests, on a machine that is `pace` times slower."""
    argv = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", *arguments)
    env = os.environ | {VARIABLE: pace, "PYTEST_ADDOPTS": ""}
    return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False).stdout


def test_all_that_run_together_stretch_alike(request: pytest.FixtureRequest) -> None:
    assert float(os.environ[VARIABLE]) == PACE >= 1.0
    assert request.config.option.timeout in (0, LONG * 300.0)


def test_a_promise_is_judged_by_the_speed_that_the_machine_has_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_time(PACE * 2.0, 2.0)
    monkeypatch.setattr(pace, "_measured", lambda: PACE)
    assert not in_time(PACE * 2.1, 2.0)
    monkeypatch.setattr(pace, "_measured", lambda: PACE * 1.5)
    assert in_time(PACE * 2.9, 2.0)


@pytest.mark.long
@pytest.mark.parametrize("workers", [(), ("-n", "1", "--dist", "loadgroup")], ids=["here", "by a worker"])
def test_no_test_begins_once_the_time_is_over_and_each_is_named(workers: tuple[str, ...]) -> None:
    said = play(SOMETHING, "--minutes", "0.00001", *workers)
    assert "this machine: 3.0 times slower" in said
    assert "timeout: 2700.0s" in said
    assert "no time was left for it: 0 minutes were over" in said
    assert "15 skipped" in said
    assert "15 skipped" not in play(SOMETHING, *workers)
    assert "passed" not in said
