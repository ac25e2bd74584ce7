"""Common settings of all suites: which tests this machine can run in which time, the seed of the day, how long a soak
is."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import hypothesis
import pytest

from tests.pace import PACE

SEED_VARIABLE = "APPLIANCE_TEST_SEED"
SOAK_VARIABLE = "APPLIANCE_SOAK_RUNS"
LAB = pytest.mark.xdist_group("lab").mark
EVERY_DAY = (
    *("test_lab_hosts", "test_lab_faults", "test_base", "test_site"),
    *("test_takeover", "test_process_runs", "test_failover_runs", "test_failover_machine", "test_machine_contract"),
    *("test_soak_kills", "test_cli_life"),
)
"""CI runs a third of the files that boot hosts, and of most that start a territory of processes for each test, each
day, so that the whole stays below 45 minutes; it always runs these."""
TERRITORIES = ("failover", "faults")
"""Folders of files that do the latter; those of commands are told by their name."""
LONGEST = ("test_bench", "test_monitor_story")
"""A third of these each day, too: each takes as long as fifty of the others."""
DAYS = 3
"""After so many, or a few more at the end of a month, each was run."""

UNIT = Path(__file__).parent / "unit"
TOO_SLOW_FOR_HOSTS = 2.0
"""The lab itself bounds booting and provisioning in seconds, and a third of the hosts would take over an hour."""

# Two busy cores stretch any deadline; a property that fails prints the line that repeats it. `make unit` looks at a few
# examples only, `make test` at a hundred.
hypothesis.settings.register_profile("appliance", deadline=None, print_blob=True)
hypothesis.settings.register_profile("quick", hypothesis.settings.get_profile("appliance"), max_examples=20)
hypothesis.settings.load_profile("appliance")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run what takes minutes (make soak)")
    parser.addoption("--lab-hosts", default="day", choices=["0", "day", "all"], help="which real hosts")
    parser.addoption("--minutes", type=float, default=0.0, help="begin no test later than this (0: run them all)")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # A shell lets what it starts in the background ignore Ctrl-C, and so would all that tests start and interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Who names files or words, or asks for a soak, wants all of them. Each worker reads the same words as we do.
    asked = config.option.slow or config.option.keyword
    asked = asked or config.args_source is not pytest.Config.ArgsSource.TESTPATHS
    if asked and config.option.lab_hosts == "day":
        config.option.lab_hosts = "all"
    if config.option.timeout is None:
        config.option.timeout = PACE * float(config.getini("timeout"))
    config.option.last_begin = time.time() + 60 * config.option.minutes if config.option.minutes else math.inf


def pytest_report_header() -> list[str]:
    seed = f"seed of the day: {_seed()} (repeat it with SEED={_seed()} after make test)"
    return [seed, f"this machine: {PACE:.1f} times slower than the usual one; bounds stretch by that"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.TESTS_FAILED:
        terminalreporter.write_line(f"repeat this day's run with SEED={_seed()} after the same make command")


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups next
def pytest_collection_modifyitems(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    hosts, turns = config.getoption("--lab-hosts"), _turns(items)
    for item in items:
        if UNIT in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("unit"))  # the largest group: it is handed out first
        if item.get_closest_marker("steps") and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root: the same command with sudo"))
        for mark in item.iter_markers("timeout"):
            item.add_marker(pytest.mark.timeout(PACE * mark.args[0]), append=False)
            break
        if LAB in item.iter_markers("xdist_group") and hosts == "0":
            item.add_marker(pytest.mark.skip(reason="boots hosts: leave HOSTS=0 out"))
        elif LAB in item.iter_markers("xdist_group") and hosts == "day" and PACE > TOO_SLOW_FOR_HOSTS:
            item.add_marker(pytest.mark.skip(reason="boots hosts, and this machine is slow: make test-all"))
        elif item.get_closest_marker("moves") and hosts != "all":
            item.add_marker(pytest.mark.skip(reason="services move between hosts for long: make test-all"))
        elif hosts == "day" and turns.get(item.path, _seed()) % DAYS != _seed() % DAYS:
            item.add_marker(pytest.mark.skip(reason="another day's turn, by the seed: make test-all"))
        is_story = item.get_closest_marker("steps") and config.getoption("--story", None)
        if item.get_closest_marker("slow") and not config.getoption("--slow") and not is_story:
            item.add_marker(pytest.mark.skip(reason="takes minutes: make soak SUITE=..."))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if time.time() > item.config.option.last_begin:
        pytest.skip(f"no time was left for it: {item.config.option.minutes:.0f} minutes were over: make test-all")


def _turns(items: Iterable[pytest.Item]) -> dict[Path, int]:
    """The files that come every third day, numbered."""
    files = {item.path for item in items if LAB in item.iter_markers("xdist_group") or _takes_turns(item.path)}
    return {path: number for number, path in enumerate(sorted(path for path in files if path.stem not in EVERY_DAY))}


def _takes_turns(path: Path) -> bool:
    integration = path.parent.parent.name == "integration"
    of_territories = integration and (path.parent.name in TERRITORIES or path.stem.startswith("test_cli_"))
    return of_territories or path.stem in LONGEST


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
