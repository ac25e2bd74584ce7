"""`make story-portal`: a secretary gets her files back by herself, shown in a real browser against plain processes.

Its steps are the files of tests/integration/portal, each against a town hall of its own: what a browser sees is proved
once, there. A step is unknown where the browser could not be driven, and so was not seen. Played by root, the last
step is the file that does it on hosts of a lab: by TLS from a PC of the building, without a browser, for what pages
look like does not depend on the machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from appliance.host.files import make_private_folder
from appliance_lab.hosts.paths import HostPaths
from appliance_lab.stories.tested import LAB_KEPT, LAB_NAME, SCREENSHOTS, Suite, carry_out, check_down, check_tests
from appliance_lab.story import Story

TITLE = "A town hall secretary gets her files back by herself"
STEPS = (
    Suite(
        "the three doors, by keyboard alone and without JavaScript in a real browser",
        ("portal/test_doors.py", "portal/test_announced.py"),
    ),
    Suite(
        "every page by axe, in light and dark, narrow, enlarged, in forced colours",
        ("portal/test_pages_for_everybody.py", "portal/test_dashboard_pages.py"),
    ),
    Suite("attackers and made-up requests on every route", ("portal/test_attacks.py", "portal/test_fuzz.py")),
    Suite("the origin is switched off in the middle: the same people at the standby", ("portal/test_origin_off.py",)),
    Suite(
        "a published site, read from a copy while its home is away, and unable to do anything",
        ("portal/test_published.py",),
    ),
)
ON_HOSTS = Suite(
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
    steps: tuple[Suite, ...] = STEPS,
    on_hosts: Suite = ON_HOSTS,
) -> Story:
    """Play it in processes of this machine, and by root in a lab called `name`, which must not be up, too; with `keep`
    that lab stays up. Screenshots go beside the report."""
    check_tests("story-portal")
    has_hosts = os.geteuid() == 0
    if has_hosts:
        check_down(name)
    story = Story("portal", TITLE, report)
    pictures = make_private_folder(report.absolute().parent / "portal")
    told = {SCREENSHOTS: str(pictures), LAB_NAME: name, LAB_KEPT: "yes" if keep else ""}
    for step in (*steps, *((on_hosts,) if has_hosts else ())):
        story.step(step.name, partial(carry_out, step, told))
    story.write()
    if not has_hosts:
        say("Hosts were left out, which need root: sudo make story-portal")
    elif keep and name in HostPaths().known_labs():
        say(f"The lab {name} is still up, its origin switched off. To end it: appliance lab down --name {name}")
    return story
