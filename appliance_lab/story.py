"""A story shows one promise end to end on real parts: named steps, each held, violated or unknown, and a report of it.

A step is a function that looks for its promise to be broken: it returns one sentence with what it saw, raises
Violated when the promise did not hold, or Unknown when the fault could not be made or the outcome not be seen. After
a step that did not hold, the later ones are unknown: their ground is gone.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import click

from appliance import __version__
from appliance.clock import utc_text
from appliance.errors import ApplianceError
from appliance.host.files import write_atomic
from appliance.units import format_bytes, printable
from appliance_lab.checkout import commit
from appliance_lab.story_page import render_page

HELD, VIOLATED, UNKNOWN = "held", "violated", "unknown"
EXIT_CODES = {HELD: 0, VIOLATED: 1, UNKNOWN: 2}
UNUSABLE_INPUT = 3


class Violated(ApplianceError):
    """The promise did not hold."""


class Unknown(ApplianceError):
    """The fault could not be made, or its outcome not be seen."""


@dataclass(frozen=True)
class Step:
    name: str
    verdict: str
    seconds: float
    detail: str


@dataclass
class Story:
    """One run of a story; it prints a sentence a step and ends as `FOLDER/report.json` and a page beside it.

    `documents` says what was saved and brought back, where that is the story's to choose.
    """

    name: str
    title: str
    report: Path
    steps: list[Step] = field(default_factory=list)
    documents: str = ""
    started_at: str = field(default_factory=lambda: utc_text(time.time()))

    @property
    def verdict(self) -> str:
        verdicts = {step.verdict for step in self.steps}
        if VIOLATED in verdicts:
            return VIOLATED
        return UNKNOWN if UNKNOWN in verdicts or not verdicts else HELD

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]

    def step(self, name: str, act: Callable[[], str]) -> None:
        """Run one step and keep its verdict; nothing it raises but an interruption ends the story."""
        if self.verdict != HELD and self.steps:
            self.add(Step(name, UNKNOWN, 0.0, "not reached: an earlier step did not hold"))
            return
        click.echo(f"... {name}", err=True)
        started = time.monotonic()
        verdict, detail = _outcome(act)
        self.add(Step(name, verdict, round(time.monotonic() - started, 2), detail))

    def add(self, step: Step) -> None:
        """Keep a step that ended, and print it."""
        # A detail names files, and one that is not UTF-8 could not be written: the whole report would be lost.
        step = replace(step, detail=printable(step.detail))
        self.steps.append(step)
        click.echo(f"{len(self.steps):2}. {step.verdict:8} {step.seconds:6.1f} s  {step.name}: {step.detail}")

    def write(self) -> Path:
        """Write the report and its page; return the page."""
        self.report.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "schema": 1,
            "story": self.name,
            "verdict": self.verdict,
            "started_at": self.started_at,
            "version": __version__,
            "commit": commit(),
            "documents": printable(self.documents),
            "machine": machine(),
            "steps": [asdict(step) for step in self.steps],
        }
        write_atomic(self.report, json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n")
        page = self.report.with_suffix(".html")
        write_atomic(page, render_page(self.title, content).encode())
        return page


def load_story(report: Path, title: str, to: Path) -> Story:
    """A story played by another account, to be ended here; its report will be written to `to`.

    Raise Unknown when there is none: the other process ended before it could say anything.
    """
    try:
        content = json.loads(report.read_bytes())
    except (FileNotFoundError, ValueError) as error:
        raise Unknown("the steps left no report.", where=str(report)) from error
    steps = [Step(**step) for step in content["steps"]]
    return Story(content["story"], title, to, steps, content["documents"], content["started_at"])


def _outcome(act: Callable[[], str]) -> tuple[str, str]:
    try:
        return HELD, act()
    except Unknown as error:
        return UNKNOWN, str(error)
    except ApplianceError as error:
        return VIOLATED, str(error)
    except Exception as error:  # a bug of the story's own shows nothing about the product
        return UNKNOWN, f"the step itself failed: {type(error).__name__}: {error}"


def require(condition: bool, sentence: str) -> None:
    """Raise Violated with `sentence` unless `condition`."""
    if not condition:
        raise Violated(sentence)


def machine() -> dict[str, str | int]:
    """Return the facts of the report about the machine."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count() or 0,
        "memory": format_bytes(memory),
        "kernel": platform.release(),
        "processor": _processor(),
        "python": platform.python_version(),
        "played": "as root" if os.geteuid() == 0 else "without root",
    }


def _processor() -> str:
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


@contextmanager
def waiting(what: str, seconds_max: float) -> Iterator[Callable[[bool], bool]]:
    """`while not done(state): ...` with a bound: raise Violated with `what` when `seconds_max` have passed."""
    deadline = time.monotonic() + seconds_max

    def done(state: bool) -> bool:
        if not state:
            if time.monotonic() > deadline:
                raise Violated(f"{what} did not come within {seconds_max:.0f} s.")
            time.sleep(0.1)
        return state

    yield done
