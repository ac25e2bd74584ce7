"""`make story-portal`: a secretary gets her files back by herself, shown in a real browser against plain processes.

Its steps are the files of tests/integration/portal, each against a town hall of its own: what a browser sees is proved
once, there. A step is unknown where the browser could not be driven, and so was not seen.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from appliance.errors import NotFound
from appliance.host.command import run
from appliance.host.files import make_private_folder
from appliance.lab.processes.node import code_folder
from appliance.lab.story import Story, Unknown, Violated

TITLE = "A town hall secretary gets her files back by herself"
TESTS = Path("tests/integration/portal")
STEPS = (
    ("the three doors, by keyboard alone in a real browser", ("test_doors.py",)),
    (
        "every page by axe, in light and dark, narrow, enlarged, in forced colours",
        ("test_pages_for_everybody.py", "test_dashboard_pages.py"),
    ),
    ("attackers and made-up requests on every route", ("test_attacks.py", "test_fuzz.py")),
    ("the origin is switched off: the same people at the standby", ("test_origin_off.py",)),
)
SECONDS_MAX = 900
SCREENSHOTS = "APPLIANCE_SCREENSHOTS"


def play(_name: str, _inventory: Path, report: Path, _say: Callable[[str], None], *, keep: bool) -> Story:
    """Play it in processes of this machine; with `keep` there is nothing to keep. Screenshots go beside the report."""
    if not (code_folder() / TESTS).is_dir():
        raise NotFound("this story is played from a checkout.", remedy="Clone the repository, then: make story-portal")
    story = Story("portal", TITLE, report)
    pictures = make_private_folder(report.absolute().parent / "portal")
    for name, files in STEPS:
        story.step(name, partial(_step, files, pictures))
    story.write()
    return story


def _step(files: tuple[str, ...], pictures: Path) -> str:
    words = (
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-rfEs",
        *(str(TESTS / it) for it in files),
    )
    environment = {SCREENSHOTS: str(pictures)}
    ended = run(words, timeout_seconds=SECONDS_MAX, env=environment, cwd=code_folder())
    told = ended.stdout.decode(errors="replace")
    counted = re.search(r"^(\d+ .*) in [\d.]+s", told, re.MULTILINE)
    last = counted[1] if counted else ended.tail()
    if ended.exit_code == 1:
        raise Violated(f"{last}: {', '.join(re.findall(r'^(?:FAILED|ERROR) (.*)$', told, re.MULTILINE))}")
    if ended.exit_code != 0 or "skipped" in last:
        raise Unknown(f"{last}: {', '.join(re.findall(r'^SKIPPED (.*)$', told, re.MULTILINE)) or ended.tail()}")
    return last
