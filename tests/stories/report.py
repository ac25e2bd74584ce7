"""A plugin of pytest for `make story-NAME`: prints a line a step as it ends, and writes the report of the story.

Loaded by `-p tests.stories.report`, with the file of the report and the tests in the order of the story. A test that
is marked `steps` is a step, and so is any other file of tests: what a browser or a host does is proved once, there. A
step is unknown where a test was skipped or not reached, and so was not seen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest

from appliance.errors import ApplianceError
from appliance_lab.stories.promises import STORIES
from appliance_lab.story import HELD, UNKNOWN, VIOLATED, Step, Story, Unknown, Violated

FAULT = "fault"
"""The property of a test's report: its verdict, where it failed."""


@dataclass
class Seen:
    """The result of the `tests` of a step; `outcomes` counts passed, failed and skipped ones."""

    name: str
    tests: int
    seconds: float = 0.0
    verdict: str = HELD
    sentences: list[str] = field(default_factory=list)
    ended: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, report: pytest.TestReport) -> None:
        told = dict(report.user_properties)
        self.seconds += report.duration
        self.ended += report.when == "teardown"
        if report.failed:
            self.verdict = VIOLATED if VIOLATED in (self.verdict, told.get(FAULT)) else UNKNOWN
            self.sentences.append(f"{report.nodeid.rpartition('::')[2]}: {_crash(report)}")
        if report.skipped:
            self._doubt()
            self.sentences.append(str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr))
        if report.when == "call" or not report.passed:
            self.outcomes[report.outcome] += 1
        if report.when == "call" and "saw" in told:
            self.sentences.append(str(told["saw"]))

    def _doubt(self) -> None:
        self.verdict = VIOLATED if self.verdict == VIOLATED else UNKNOWN

    def step(self) -> Step:
        if self.ended < self.tests:
            self._doubt()
            self.sentences.append(f"{self.ended} of {self.tests} tests were played")
        counted = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        detail = "; ".join(dict.fromkeys(self.sentences))
        return Step(self.name, self.verdict, round(self.seconds, 2), detail or counted)


class Reporter:
    def __init__(self, name: str, path: Path) -> None:
        self.story = Story(name, STORIES[name].title, path)
        self.names: dict[str, str] = {}
        """The name of each step by the node id of each of its tests."""
        self.steps: dict[str, Seen] = {}
        """In their order, those that did not end yet."""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.names = {item.nodeid: _name(item) for item in session.items}
        self.steps = {name: Seen(name, tests) for name, tests in Counter(self.names.values()).items()}
        played = {str(item.path) for item in session.items}
        self.steps |= {word: Seen(word, 1) for word in session.config.args if str(Path(word).absolute()) not in played}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed and call.excinfo:
            report.user_properties.append((FAULT, _verdict(call.excinfo.value, report.when)))
        return report

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        seen = self.steps[self.names[nodeid]]
        if not seen.ended:
            click.echo(f"... {seen.name}", err=True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        seen = self.steps[self.names[report.nodeid]]
        seen.add(report)
        if seen.ended == seen.tests:
            self.story.add(self.steps.pop(seen.name).step())

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str]:
        """A line a step takes the place of a letter a test."""
        return report.outcome if report.when == "call" or not report.passed else "", "", ""

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        for seen in self.steps.values():
            self.story.add(seen.step())
        page = self.story.write()
        click.echo(f"\n{self.story.verdict}. Report: {self.story.report}, page: {page}")
        session.exitstatus = self.story.exit_code


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--story", choices=sorted(STORIES), help="which story the named tests are")
    parser.addoption("--story-report", type=Path, help="where its report is written")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.story:
        config.pluginmanager.register(Reporter(config.option.story, config.option.story_report))


def _name(item: pytest.Item) -> str:
    """The name of a step: of a test its own name, of a file the first sentence of its docstring."""
    if item.get_closest_marker("steps"):
        return item.name.removeprefix("test_").replace("_", " ")
    said = item.getparent(pytest.Module).obj.__doc__ or item.path.stem  # type: ignore[union-attr]
    return re.split(r"\.\s", " ".join(said.split()), maxsplit=1)[0].rstrip(".")


def _verdict(error: BaseException, when: str) -> str:
    """A promise that was seen to break is violated; a fault of the test, its ground or its time says nothing of it."""
    if isinstance(error, Violated):
        return VIOLATED
    is_timeout = isinstance(error, pytest.fail.Exception) and str(error).startswith("Timeout")
    if when != "call" or is_timeout or isinstance(error, Unknown):
        return UNKNOWN
    return VIOLATED if isinstance(error, (ApplianceError, AssertionError, pytest.fail.Exception)) else UNKNOWN


def _crash(report: pytest.TestReport) -> str:
    """The last error in one line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return " ".join(str(crash.message if crash else report.longreprtext).split())
