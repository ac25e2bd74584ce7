"""A second run of `site` where sites, a share and a database are served: nothing is to be changed."""

from __future__ import annotations

import sys

import pytest

from appliance_lab.hosts.playbook import play_well
from tests.integration.lab.moving.sites import Sites

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(2400)]


def test_a_second_run_changes_nothing(sites: Sites, capfd: pytest.CaptureFixture[str]) -> None:
    played = play_well(sites.desk, "site")
    with capfd.disabled():
        print(f"a second run of site on {len(played.recap)} nodes: {played.seconds:.0f} s", file=sys.stderr)
    assert (played.changed, changed_tasks(played.text), len(played.recap)) == (0, set(), 4)


def test_only_looked_at_nothing_would_change(sites: Sites) -> None:
    played = play_well(sites.desk, "site", "--check")
    assert (played.changed, changed_tasks(played.text), len(played.recap)) == (0, set(), 4)


def changed_tasks(text: str) -> set[str]:
    """Role and name of each task that changed something on a node, in what ansible-playbook printed."""
    task, found = "", set()
    for line in text.splitlines():
        if line.startswith(("TASK [", "RUNNING HANDLER [")):
            task = line.partition("[")[2].rpartition("]")[0]
        elif line.startswith("changed:"):
            found.add(task)
    return found
