"""A step of a story that is a file of tests: what a browser or a host does is proved once, there.

It is unknown where a test was skipped, and so was not seen.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import NotFound, UsageError
from appliance.host.command import run
from appliance_lab.checkout import code_folder
from appliance_lab.hosts.paths import HostPaths
from appliance_lab.story import Unknown, Violated

TESTS, KEPT = Path("tests/integration"), Path("build/stories")
SCREENSHOTS, LAB_NAME, LAB_KEPT = "APPLIANCE_SCREENSHOTS", "APPLIANCE_LAB_NAME", "APPLIANCE_LAB_KEPT"
"""What the tests are told: where pictures go, how a lab of theirs is called, and that it is left up."""


@dataclass(frozen=True)
class Suite:
    """A step: its name, and the files below TESTS whose tests it is."""

    name: str
    files: tuple[str, ...]
    seconds_max: float = 1200.0


def check_tests(story: str) -> None:
    """Raise NotFound where there is no checkout to take tests from."""
    if not (code_folder() / TESTS).is_dir():
        raise NotFound("this story is played from a checkout.", remedy=f"Clone the repository, then: make {story}")


def check_down(name: str) -> None:
    """Raise UsageError when the lab `name` is up: tests begin with a lab of their own."""
    if name in HostPaths().known_labs():
        raise UsageError(f"the lab {name} is up already.", remedy=f"appliance lab down --name {name}")


def carry_out(step: Suite, told: Mapping[str, str]) -> str:
    """Run the tests of `step`, which are `told` what their environment shall be; return how many passed.

    Raise Violated when one failed, Unknown when one was skipped or none could run.
    """
    files = (str(TESTS / it) for it in step.files)
    words = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rfEs", *files)
    ended = run(words, timeout_seconds=step.seconds_max, env=dict(told), cwd=code_folder())
    said = ended.stdout.decode(errors="replace")
    counted = re.search(r"^(\d+ .*) in [\d.]+s", said, re.MULTILINE)
    last = counted[1] if counted else ended.tail()
    if ended.exit_code == 1:
        failed = ", ".join(re.findall(r"^(?:FAILED|ERROR) (.*)$", said, re.MULTILINE))
        raise Violated(f"{last}: {failed}; all that they said: {_kept(step, said)}")
    if ended.exit_code != 0 or "skipped" in last:
        raise Unknown(f"{last}: {', '.join(re.findall(r'^SKIPPED (.*)$', said, re.MULTILINE)) or ended.tail()}")
    return last


def _kept(step: Suite, said: str) -> Path:
    """A lab is gone with its tests, so what they showed of it is kept in the checkout."""
    path = code_folder() / KEPT / f"{Path(step.files[0]).stem}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(said)
    return path.relative_to(code_folder())
