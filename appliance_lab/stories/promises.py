"""The stories of `make story-NAME`: which tests show one promise end to end, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SCREENSHOTS, LAB_NAME, LAB_KEPT = "APPLIANCE_SCREENSHOTS", "APPLIANCE_LAB_NAME", "APPLIANCE_LAB_KEPT"
"""The variables for tests: where pictures go, the name of their lab, and that it is left up."""
LAST = "tests/stories/test_lab_story.py::test_nothing_is_left"


@dataclass(frozen=True)
class Promise:
    """`tests`: files below tests/. In those of tests/stories each test is a step; any other file is one step.

    `by_root`: what only root's run has.
    """

    title: str
    tests: tuple[str, ...]
    by_root: tuple[str, ...] = ()


STORIES: Mapping[str, Promise] = {
    "failover": Promise(
        "Services survive the loss of their node, and never have two writers",
        (
            "stories/test_failover_exclusive.py",
            "stories/test_failover_local_first.py",
            "integration/lab/moving/test_databases.py",
            "integration/lab/moving/test_shares.py",
            "integration/lab/moving/test_sites.py",
            "integration/lab/moving/test_replaced.py",
        ),
    ),
    "lab": Promise("Bare machines become a territory", ("stories/test_lab_story.py",)),
    "monitor": Promise("Silence and false success are told", ("stories/test_monitor_story.py",)),
    "portal": Promise(
        "A town hall secretary gets her files back by herself",
        (
            "integration/portal/test_doors.py",
            "integration/portal/test_announced.py",
            "integration/portal/test_pages_for_everybody.py",
            "integration/portal/test_dashboard_pages.py",
            "integration/portal/test_attacks.py",
            "integration/portal/test_fuzz.py",
            "integration/portal/test_origin_off.py",
            "integration/portal/test_published.py",
        ),
        ("integration/lab/test_portal_on_hosts.py",),
    ),
    "year": Promise(
        "A maintenance team that types what is printed brings a territory through a year",
        ("stories/test_year_story.py",),
    ),
}
