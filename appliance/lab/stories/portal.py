"""`make story-portal`: a secretary gets her files back by herself, shown in a real browser against plain processes.

Its steps are the files of tests/integration/portal, each against a town hall of its own: what a browser sees is proved
once, there. A step is unknown where the browser could not be driven, and so was not seen. Played by root, the last
step is the file that does it on hosts of a lab: by TLS from a PC of the building, without a browser, for what pages
look like does not depend on the machine.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from appliance.errors import NotFound, UsageError
from appliance.host.command import run
from appliance.host.files import make_private_folder
from appliance.lab.hosts.places import Places
from appliance.lab.processes.node import code_folder
from appliance.lab.story import Story, Unknown, Violated

TITLE = "A town hall secretary gets her files back by herself"
TESTS = Path("tests/integration")
SCREENSHOTS, LAB_NAME, LAB_KEPT = "APPLIANCE_SCREENSHOTS", "APPLIANCE_LAB_NAME", "APPLIANCE_LAB_KEPT"
"""What the tests are told: where pictures go, how a lab of theirs is called, and that it is left up."""


@dataclass(frozen=True)
class Step:
    name: str
    files: tuple[str, ...]
    seconds_max: float = 1200.0


STEPS = (
    Step(
        "the three doors, by keyboard alone and without JavaScript in a real browser",
        ("portal/test_doors.py", "portal/test_announced.py"),
    ),
    Step(
        "every page by axe, in light and dark, narrow, enlarged, in forced colours",
        ("portal/test_pages_for_everybody.py", "portal/test_dashboard_pages.py"),
    ),
    Step("attackers and made-up requests on every route", ("portal/test_attacks.py", "portal/test_fuzz.py")),
    Step("the origin is switched off in the middle: the same people at the standby", ("portal/test_origin_off.py",)),
)
ON_HOSTS = Step(
    "on hosts, from a PC of the building, and at the standby once the origin is off: by TLS, without a browser",
    ("lab/test_portal_on_hosts.py",),
    3600.0,
)


def play(
    name: str,
    _inventory: Path,
    report: Path,
    say: Callable[[str], None],
    *,
    keep: bool,
    steps: tuple[Step, ...] = STEPS,
    on_hosts: Step = ON_HOSTS,
) -> Story:
    """Play it in processes of this machine, and by root in a lab called `name`, which must not be up, too; with `keep`
    that lab stays up. Screenshots go beside the report."""
    if not (code_folder() / TESTS).is_dir():
        raise NotFound("this story is played from a checkout.", remedy="Clone the repository, then: make story-portal")
    has_hosts = os.geteuid() == 0
    if has_hosts and name in Places().known_labs():
        raise UsageError(f"the lab {name} is up already.", remedy=f"appliance lab down --name {name}")
    story = Story("portal", TITLE, report)
    pictures = make_private_folder(report.absolute().parent / "portal")
    told = {SCREENSHOTS: str(pictures), LAB_NAME: name, LAB_KEPT: "yes" if keep else ""}
    for step in (*steps, *((on_hosts,) if has_hosts else ())):
        story.step(step.name, partial(_step, step, told))
    story.write()
    if not has_hosts:
        say("Hosts were left out, which need root: sudo make story-portal")
    elif keep and name in Places().known_labs():
        say(f"The lab {name} is still up, its origin switched off. To end it: appliance lab down --name {name}")
    return story


def _step(step: Step, told: Mapping[str, str]) -> str:
    words = (
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-rfEs",
        *(str(TESTS / it) for it in step.files),
    )
    ended = run(words, timeout_seconds=step.seconds_max, env=dict(told), cwd=code_folder())
    said = ended.stdout.decode(errors="replace")
    counted = re.search(r"^(\d+ .*) in [\d.]+s", said, re.MULTILINE)
    last = counted[1] if counted else ended.tail()
    if ended.exit_code == 1:
        raise Violated(f"{last}: {', '.join(re.findall(r'^(?:FAILED|ERROR) (.*)$', said, re.MULTILINE))}")
    if ended.exit_code != 0 or "skipped" in last:
        raise Unknown(f"{last}: {', '.join(re.findall(r'^SKIPPED (.*)$', said, re.MULTILINE)) or ended.tail()}")
    return last
