"""What every suite shares: which tests this machine can run, the seed of the day, how many runs a soak makes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable

import hypothesis
import pytest

SEED_VARIABLE = "APPLIANCE_TEST_SEED"
SOAK_VARIABLE = "APPLIANCE_SOAK_RUNS"
LAB = pytest.mark.xdist_group("lab").mark

# Two busy cores stretch any deadline; a property that fails prints the line that repeats it. `make unit` looks at a few
# examples only, `make test` at a hundred.
hypothesis.settings.register_profile("appliance", deadline=None, print_blob=True)
hypothesis.settings.register_profile("quick", hypothesis.settings.get_profile("appliance"), max_examples=20)
hypothesis.settings.load_profile("appliance")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run what takes minutes (make soak)")
    parser.addoption(
        "--lab-hosts", default="most", choices=["0", "most", "all"], help="real hosts (make test HOSTS=...)"
    )


def pytest_configure() -> None:
    # A shell lets what it starts in the background ignore Ctrl-C, and so would all that tests start and interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    return f"seed of the day: {_seed()} (repeat it with make test SEED={_seed()})"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.TESTS_FAILED:
        terminalreporter.write_line(f"repeat this day's run with: make test SEED={_seed()}")


def pytest_collection_modifyitems(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    hosts = config.getoption("--lab-hosts")
    for item in items:
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root: sudo make test"))
        if LAB in item.iter_markers("xdist_group") and hosts == "0":
            item.add_marker(pytest.mark.skip(reason="boots hosts: leave HOSTS=0 out"))
        elif item.get_closest_marker("moves") and hosts != "all":
            item.add_marker(pytest.mark.skip(reason="services move between hosts for long: make test HOSTS=all"))
        if item.get_closest_marker("slow") and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: make soak SUITE=..."))


@pytest.fixture(scope="session")
def seed() -> int:
    """The seed of the day, for tests that draw their own cases."""
    return _seed()


@pytest.fixture(scope="session")
def soak_runs() -> int | None:
    """How many runs `make soak N=...` asks for; None for the small sample of `make test`."""
    text = os.environ.get(SOAK_VARIABLE, "")
    return int(text) if text else None


def _seed() -> int:
    return int(os.environ.get(SEED_VARIABLE, "1"))
