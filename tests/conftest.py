"""Common settings of all suites: which tests this machine can run in which time, the seed of the day, how long a soak
is."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import hypothesis
import pytest

from tests.minutes import suite_of, too_long
from tests.pace import LONG, PACE

SEED_VARIABLE = "APPLIANCE_TEST_SEED"
SOAK_VARIABLE = "APPLIANCE_SOAK_RUNS"
LAB = "lab"
"""The group of all tests that boot hosts: they follow each other, for two labs are more than two cores can bear."""
UNIT = Path(__file__).parent / "unit"
BORG = Path("/usr/local/lib/appliance-tests/borg")
"""Debian's borg, started as on a node (`programs/borg`); `scripts/setup` installs it."""
TOOK: dict[str, float] = defaultdict(float)
"""Seconds by suite, of all workers."""
TOO_SLOW_FOR_HOSTS = 2.0
"""The lab itself bounds booting and provisioning in seconds."""

# Two busy cores stretch any deadline; a property that fails prints the line that repeats it. `make unit` looks at a few
# examples only, `make test` at a hundred.
hypothesis.settings.register_profile("appliance", deadline=None, print_blob=True)
hypothesis.settings.register_profile("quick", hypothesis.settings.get_profile("appliance"), max_examples=20)
hypothesis.settings.load_profile("appliance")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run what takes minutes (make soak)")
    parser.addoption("--lab-hosts", choices=["0", "1"], help="whether to boot hosts; unless the machine is slow")
    parser.addoption("--minutes", type=float, default=0.0, help="begin no test later than this (0: run them all)")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # A shell lets what it starts in the background ignore Ctrl-C, and so would all that tests start and interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.prefix == "/usr" and BORG.exists():
        os.environ["PATH"] = f"{BORG.parent}:{os.environ['PATH']}"
    # Who names files or words, or asks for a soak, wants all of them.
    asked = config.option.slow or config.option.keyword
    asked = asked or config.args_source is not pytest.Config.ArgsSource.TESTPATHS
    if config.option.lab_hosts is None and (asked or PACE <= TOO_SLOW_FOR_HOSTS):
        config.option.lab_hosts = "1"
    if config.option.timeout is None:
        config.option.timeout = LONG * float(config.getini("timeout"))
    config.option.last_begin = time.time() + 60 * config.option.minutes if config.option.minutes else math.inf


def pytest_report_header() -> list[str]:
    seed = f"seed of the day: {_seed()} (repeat it with SEED={_seed()} after make test)"
    return [seed, f"this machine: {PACE:.1f} times slower than the usual one; bounds stretch by that"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    for sentence in too_long(TOOK, PACE):
        terminalreporter.write_line(sentence)
    if exitstatus == pytest.ExitCode.TESTS_FAILED:
        terminalreporter.write_line(f"repeat this day's run with SEED={_seed()} after the same make command")


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups next
def pytest_collection_modifyitems(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    boots = config.getoption("--lab-hosts")
    for item in items:
        if UNIT in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("unit"))  # the largest group: it is handed out first
        if item.get_closest_marker("steps") and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root: the same command with sudo"))
        for mark in item.iter_markers("timeout"):
            item.add_marker(pytest.mark.timeout(LONG * mark.args[0]), append=False)
            break
        if boots != "1" and boots_hosts(item):
            why = "leave HOSTS=0 out" if boots else "this machine is slow for it: the same make command with HOSTS=1"
            item.add_marker(pytest.mark.skip(reason=f"boots hosts: {why}"))
        is_story = item.get_closest_marker("steps") and config.getoption("--story", None)
        if item.get_closest_marker("slow") and not config.getoption("--slow") and not is_story:
            item.add_marker(pytest.mark.skip(reason="takes minutes: make soak SUITE=..."))


def boots_hosts(item: pytest.Item) -> bool:
    return any(mark.args[0] == LAB for mark in item.iter_markers("xdist_group"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if time.time() > item.config.option.last_begin:
        pytest.skip(f"no time was left for it: {item.config.option.minutes:.0f} minutes were over: make test-all")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    TOOK[suite_of(report.nodeid)] += report.duration


@pytest.fixture(scope="session")
def seed() -> int:
    """The seed of the day, for tests that draw their own cases."""
    return _seed()


@pytest.fixture(scope="session")
def soak_runs() -> int | None:
    """How many runs `make soak N=...` asks for; None for the small sample of `make test-rest`."""
    text = os.environ.get(SOAK_VARIABLE, "")
    return int(text) if text else None


def _seed() -> int:
    return int(os.environ.get(SEED_VARIABLE, "1"))
